"""Runs of workflows over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest

from swarm_tui.agent.roles.api_gateway.runs import UnfitRunError, run_of
from tests.unit.gateway.conftest import Dispatcher, Visitor

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
    with pytest.raises(UnfitRunError) as caught:
        run_of(body)
    assert caught.value.status == status
