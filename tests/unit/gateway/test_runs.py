"""Runs of workflows over HTTP."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.roles.api_gateway.json_http import UnfitError
from swarm_tui.agent.roles.api_gateway.runs import run_of
from tests.unit.gateway.conftest import Answer, Dispatcher, Visitor

Opener = Callable[..., Any]
WORKFLOW = {"workflow": "w", "steps": {"a": {"type": "noop"}}}


def test_a_run_is_begun_listed_and_shown(open_door: Opener, visitor: Visitor, dispatcher: Dispatcher) -> None:
    open_door()
    answer = visitor.ask("POST", "/runs", {"workflow": WORKFLOW, "run_id": "r1"})
    assert (answer.status, answer.json) == (202, {"run_id": "r1", "state": "running"})
    (run,) = visitor.get("/runs?state=running").json
    assert (run["run_id"], run["count"], run["steps"][0]["state"]) == ("r1", 1, "blocked")
    assert visitor.get("/runs/r1").json["workflow"] == "w"
    assert visitor.get("/runs/other").status == 404
    assert visitor.get("/runs/a.b").status == 422
    assert visitor.get("/runs?limit=x").status == 422


def test_a_run_that_is_refused_is_told_with_its_place(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher
) -> None:
    open_door()
    answer = visitor.ask("POST", "/runs", {"workflow": {"workflow": "w", "steps": {}}})
    assert (answer.status, answer.json["error"]) == (422, "steps: a workflow has at least one step")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 422),
        (b"[]", 422),
        (b'{"workflow": 1}', 422),
        (b'{"workflow": {}, "run_id": "a.b"}', 422),
        (b'{"workflow": {}, "x": 1}', 422),
        (b'{"workflow": ' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"}", 400),
        (b'{"workflow": "\xff"}', 422),
    ],
)
def test_a_body_that_is_no_run_is_refused(body: Any, status: int) -> None:
    with pytest.raises(UnfitError) as caught:
        run_of(body)
    assert caught.value.status == status


def acting(visitor: Visitor, token: Path) -> Callable[..., Answer]:
    """How a person with the token acts on a run."""

    def act(path: str, body: Any = None, **headers: str) -> Answer:
        given = {"Authorization": f"Bearer {token.read_text().strip()}", **headers}
        return visitor.ask("POST", path, body or {}, **given)

    return act


def test_a_run_is_cancelled_and_done_again_for_a_person_alone(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher, tmp_path: Path
) -> None:
    open_door()
    visitor.ask("POST", "/runs", {"workflow": WORKFLOW, "run_id": "r1"})
    act = acting(visitor, tmp_path / "state" / "gateway.token")
    for verb in ("cancel", "retry"):
        without = visitor.ask("POST", f"/runs/r1/{verb}", {})
        assert (without.status, "token" in without.json["error"]) == (401, True)
        assert act(f"/runs/r1/{verb}", Authorization="Bearer wrong").status == 401
    assert dispatcher.acts == []
    early = act("/runs/r1/retry")
    assert (early.status, early.json["error"]) == (409, "retry of the run r1 was refused: it is running")
    told = act("/runs/r1/cancel", {"reason": "ann cancelled it"})
    assert (told.status, told.json) == (200, {"run_id": "r1", "state": "cancelled"})
    late = act("/runs/r1/cancel")
    assert (late.status, late.json["error"]) == (409, "it is cancelled already")
    again = act("/runs/r1/retry", {"step": "a"})
    assert (again.status, again.json) == (200, {"run_id": "r1", "state": "running"})
    assert [(sender, one.reason, one.step) for sender, one in dispatcher.acts] == [
        ("operator:web@here", "", None),
        ("operator:web@here", "ann cancelled it", None),
        ("operator:web@here", "", "a"),
    ]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/runs/other/cancel", b"{}", 404),
        ("/runs/a.b/cancel", b"{}", 422),
        ("/runs/r1/cancel", b"[", 422),
        ("/runs/r1/cancel", b'{"who": 1}', 422),
        ("/runs/r1/retry", b'{"step": 1}', 422),
        ("/runs/r1/cancel", b'{"reason": "%s"}' % (b"x" * 9000), 413),
    ],
)
def test_an_act_that_is_none_is_refused(
    open_door: Opener, visitor: Visitor, dispatcher: Dispatcher, tmp_path: Path, path: str, body: bytes, status: int
) -> None:
    open_door()
    visitor.ask("POST", "/runs", {"workflow": WORKFLOW, "run_id": "r1"})
    act = acting(visitor, tmp_path / "state" / "gateway.token")
    assert act(path, body).status == status
    assert act(path, body, Content_Type="text/plain").status in (415, 422)
    assert dispatcher.acts == []
