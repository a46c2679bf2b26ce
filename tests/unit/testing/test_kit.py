"""The kit with which people test their own handlers."""

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from msgspec import Meta, Struct

from swarm_tui import testing
from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.inputs import read_options, read_payload
from swarm_tui.agent.handlers.process import run_process
from swarm_tui.config.model import HandlerSpec


class Wanted(Struct):
    target: str
    seconds: Annotated[float, Meta(ge=0)] = 0.0


class How(Struct, forbid_unknown_fields=True):
    shout: bool = False


class Build:
    """Builds, as far as this test is concerned."""

    Payload: ClassVar[type[Struct]] = Wanted
    Options: ClassVar[type[Struct]] = How

    async def run(self, context: Context) -> Result:
        wanted, how = read_payload(context, Wanted), read_options(context, How)
        context.progress(10, "begins")
        context.usage(5, 0.5)
        if wanted.target == "broken":
            raise HandlerError("no such target", code="no-target", retryable=context.attempt < 2)
        if wanted.seconds:
            await asyncio.wait_for(context.cancel.wait(), wanted.seconds)
            raise HandlerError("told to stop")
        text = wanted.target.upper() if how.shout else wanted.target
        await run_process(context, [sys.executable, "-c", f"print('built {text}')"])
        (context.workdir / "made").write_text(text)
        context.log("done")
        return {"text": text}


def run(*words: Any, **more: Any) -> testing.Done:
    return asyncio.run(testing.run(Build, *words, **more))


def test_a_handler_is_run_as_an_agent_runs_it(tmp_path: Path) -> None:
    done = run({"target": "docs"}, options={"shout": True}, workdir=tmp_path)
    assert done.error is None
    assert done.result == {"text": "DOCS"}
    assert done.progress == [(10.0, "begins")]
    assert (done.tokens, done.cost) == (5, 0.5)
    assert "built DOCS\n" in done.output
    assert done.log == ["done"]
    assert (tmp_path / "made").read_text() == "DOCS"


def test_its_errors_are_the_tasks() -> None:
    done = run({"target": "broken"})
    assert (done.error, done.code, done.retryable, done.cause) == ("no such target", "no-target", True, None)
    assert not run({"target": "broken"}, attempt=2).retryable
    assert run({"target": 7, "seconds": -1}).code == "bad-payload"
    with pytest.raises(ValueError, match="shouts"):
        run({"target": "x"}, options={"shouts": 1})


def test_a_time_limit_and_a_cancel() -> None:
    assert run({"target": "x", "seconds": 30}, timeout=0.05).cause == "timeout"

    async def cancelled() -> testing.Done:
        begun = testing.start(Build, {"target": "x", "seconds": 30})
        await asyncio.sleep(0)
        begun.cancel()
        return await begun.ended()

    assert asyncio.run(cancelled()).cause == "cancelled"


def test_a_context_by_itself() -> None:
    async def go() -> testing.RecordingContext:
        context = testing.context({"target": "docs"}, options={"shout": True})
        assert await Build().run(context) == {"text": "DOCS"}
        assert (context.workdir / "made").is_file()
        return context

    context = asyncio.run(go())
    assert context.done.progress == [(10, "begins")]
    assert "built DOCS" in context.done.output


def test_a_whole_swarm_in_memory(tmp_path: Path) -> None:
    specs = {"site.build": HandlerSpec(options={"shout": True}, max_attempts=2)}
    with testing.Swarm({"site.build": Build}, specs=specs, workers=2, workdir=tmp_path) as swarm:
        done = swarm.run("site.build", {"target": "docs"})
        assert done.result == {"text": "DOCS"}
        assert "built DOCS" in done.output
        long = swarm.publish("site.build", {"target": "x", "seconds": 60})
        tries = swarm.publish("site.build", {"target": "broken"})
        assert swarm.wait(tries).code == "no-target"
        swarm.cancel(long)
        assert swarm.wait(long).cause == "cancelled"
        with pytest.raises(TimeoutError, match="unknown"):
            swarm.wait("nobody", 0.01)
