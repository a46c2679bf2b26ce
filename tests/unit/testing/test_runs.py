"""A handler that begins a run of a workflow, in a swarm in memory with a real dispatcher."""

from typing import Any, ClassVar

from msgspec import Struct

from swarm_tui import testing
from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.protocol.run_bodies import RunEnded, RunStarted
from tests.wait import until

WORKFLOW = {
    "workflow": "w",
    "inputs": {"text": {"type": "string"}},
    "steps": {"a": {"type": "say", "payload": {"text": "{inputs.text}"}}, "b": {"type": "say", "needs": ["a"]}},
}


class Anything(Struct):
    text: Any = None


class Begin:
    """Begins a run, fails once, and begins it again in its next attempt."""

    Payload: ClassVar[type[Struct]] = Anything

    async def run(self, context: Context) -> Result:
        run_id = context.run(WORKFLOW, {"text": "hello"})
        if context.attempt == 1:
            raise HandlerError("not yet", retryable=True)
        return {"run_id": run_id}


class Say:
    """Says its text."""

    Payload: ClassVar[type[Struct]] = Anything

    async def run(self, context: Context) -> Result:
        return {"text": context.payload.get("text")}


def test_a_handler_begins_a_run_once_however_often_it_is_tried() -> None:
    with testing.Swarm({"begin": Begin, "say": Say}, workers=2) as swarm:
        done = swarm.run("begin")
        run_id = done.result["run_id"]
        assert swarm.wait(f"{run_id}.a").result == {"text": "hello"}
        assert swarm.wait(f"{run_id}.b").error is None

        def said(kind: type) -> list[Any]:
            return [event.body for event in list(swarm.events) if isinstance(event.body, kind)]

        until(lambda: len(said(RunStarted)) == 2 and len(said(RunEnded)) == 1, 10, "both to be answered")
        assert [body.duplicate for body in said(RunStarted)] == [False, True]
