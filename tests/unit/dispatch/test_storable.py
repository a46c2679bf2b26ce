"""The journal keeps any job, whatever JSON its payload and its result hold."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.domain.dispatch import Job
from swarm_tui.journal.dispatch import Journal, storable
from swarm_tui.protocol.bodies import Task
from tests.examples import examples

LONG = st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**40, 10**400])
#: Lone surrogates too, which files' names can hold.
TEXT = st.text(st.characters(exclude_categories=()), max_size=8)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | LONG | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


def job(task_id: str, payload: dict[str, Any], result: object = None) -> Job:
    task = Task(task_id=task_id, type="noop", payload=payload)
    return Job(task=task, digest="", seq=1, created_at=1.0, updated_at=1.0, result=result)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def kept(journal: Journal, task_id: str) -> Job:
    found = journal.find(task_id)
    assert found is not None
    return found


@settings(max_examples=examples(200), deadline=None)
@given(st.dictionaries(TEXT, ANYTHING, max_size=4), ANYTHING)
def test_any_json_is_kept_beside_other_jobs(payload: dict[str, Any], result: object) -> None:
    journal = Journal(None)
    journal.commit([job("before", {"n": 1}), job("t", payload, result), job("after", {"n": 2})], [])
    assert [kept(journal, name).task.payload for name in ("before", "after")] == [{"n": 1}, {"n": 2}]
    assert len(kept(journal, "t").task.payload) <= len(payload)
    assert len(journal.open_jobs()) == 3
    journal.close()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2**64, "(an integer of 65 bits was left out)"),
        ({"a": [1, -(2**63) - 1]}, {"a": [1, "(an integer of 64 bits was left out)"]}),
        ("caf\udce9", "caf�"),
        ({"\ud800": 1}, {"�": 1}),
        (b"x" * 3, b"x" * 3),
        ([{1.5, "x"}, 2**64], ["(a value of type set was left out)", "(an integer of 65 bits was left out)"]),
    ],
)  # fmt: skip
def test_what_cannot_be_kept_says_so_in_its_place(value: object, shown: object) -> None:
    journal = Journal(None)
    journal.commit([job("t", {"v": 1}, value)], [])
    assert kept(journal, "t").result == shown
    journal.close()


def test_what_nests_too_deep_is_cut_there() -> None:
    journal = Journal(None)
    journal.commit([job("deep", {"a": nested(50_000)}), job("other", {"n": 1})], [])
    assert "nests over" in str(kept(journal, "deep").task.payload)
    assert kept(journal, "other").task.payload == {"n": 1}
    journal.close()


@given(st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5) | st.lists(st.floats(allow_nan=False), max_size=3))
def test_what_can_be_kept_stays_as_it_is(value: object) -> None:
    assert storable(value) == value
