"""A run that is asked for: a large workflow is packed, and what is packed is unpacked within bounds."""

import json
import zlib
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.protocol.raw import MAX_BYTES, RefusedError
from swarm_tui.protocol.run_bodies import MAX_WORKFLOW, RunNew, new_run, workflow_of
from tests.examples import examples

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


BOMB = b" " * (50 << 20)


def packed(raw: bytes) -> RunNew:
    return RunNew(run_id="r", packed=b64encode(zlib.compress(raw)).decode())


@given(st.dictionaries(st.text(), VALUES))
@settings(max_examples=examples(100), deadline=None)
def test_a_workflow_comes_back_as_it_was(workflow: Any) -> None:
    assert workflow_of(packed(json.dumps(workflow).encode())) == workflow
    assert new_run("r", workflow, {}) == RunNew(run_id="r", workflow=workflow)


def test_a_large_one_is_packed() -> None:
    workflow = {"steps": {f"s{n}": {"type": "noop", "needs": [f"s{n}"]} for n in range(5000)}}
    run = new_run("r", workflow, {"a": 1})
    assert (workflow_of(run), run.workflow, run.inputs) == (workflow, {}, {"a": 1})
    assert len(run.packed or "") < MAX_BYTES / 2


@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: b64encode(raw).decode()))
@settings(max_examples=examples(100), deadline=None)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        workflow_of(RunNew(run_id="r", packed=text))


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (BOMB, "unpacked it 1,048,577 bytes"),
        (b"[" * 40 + b"]" * 40, "nests over 32 deep"),
        (json.dumps({"a": [0] * MAX_WORKFLOW[1]}).encode(), "holds over 100,000 values"),
        (b"[]", "no JSON object"),
        (b'{"a": 18446744073709551616}', "64 bits"),
        (b'{"a": "\xff"}', "is no workflow"),
        (b"{", "is no workflow"),
    ],
    ids=lambda value: None if isinstance(value, str) else value[:10].hex(),
)
def test_what_would_be_too_much_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(RefusedError, match=says):
        workflow_of(packed(raw))


def test_what_ends_early_is_refused() -> None:
    whole = zlib.compress(b'{"workflow": "w"}')
    with pytest.raises(RefusedError):
        workflow_of(RunNew(run_id="r", packed=b64encode(whole[:8]).decode()))
