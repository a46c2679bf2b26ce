"""A task's page: what it printed, what it leaves running, and how long its last attempt took."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarm_tui.cli import tasks as cli_tasks
from swarm_tui.config.paths import StateDir
from swarm_tui.journal.task_output import OutputFile
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.bodies import Reply
from swarm_tui.protocol.rows import TaskRow
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.live.live_source import LiveSource, NoPanes
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui


def end(ui: UiDriver, task_id: str, result: object) -> None:
    done = b.Complete(task_id=task_id, agent_id="docs-01", attempt=1, status="success", result=result, duration=1500.0)
    ui.source.say("docs-01", Kind.TASK_COMPLETE, done)


@pytest.mark.asyncio
async def test_what_a_task_prints_is_on_its_page_while_it_runs_and_after() -> None:
    async with open_ui(size=(120, 60)) as ui:
        scenes.task(ui.source, ui.clock, "task_speaks", "documentation.generate", "docs-01", ago=5)
        ui.source.outputs["task_speaks"] = ["compiling", "half way"]
        await ui.settle()
        ui.app.pages.open_task("task_speaks")
        await ui.settle()
        assert ui.has("it printed")
        assert ui.has("  half way")
        ui.source.outputs["task_speaks"].append("nearly there")
        await ui.pass_(2)
        assert ui.has("  nearly there")
        ui.source.outputs["task_speaks"].append("all done")
        end(ui, "task_speaks", {})
        await ui.settle()
        assert ui.has("  all done")
        assert not ui.has("wrote meanwhile")


@pytest.mark.asyncio
async def test_what_a_task_leaves_running_is_on_its_page() -> None:
    async with open_ui() as ui:
        scenes.task(ui.source, ui.clock, "task_serves", "deployment.deploy", "docs-01", ago=5)
        end(ui, "task_serves", {"kept": [{"pid": 4711, "command": "python -m http.server 8000"}]})
        await ui.settle()
        ui.app.pages.open_task("task_serves")
        await ui.settle()
        assert ui.has("runs on", "pid 4711: python -m http.server 8000")


@pytest.mark.asyncio
async def test_a_task_that_runs_again_does_not_show_what_its_earlier_attempt_took(
    capsys: pytest.CaptureFixture[str],
) -> None:
    again = {"task_id": "task_again", "type": "testing.run", "attempt": 2, "agent_id": "docs-01", "duration": 77_000.0}
    async with open_ui(size=(200, 50)) as ui:
        row = TaskRow(state="queued", created_at=ui.clock() - 10, updated_at=ui.clock() - 1, **again)  # type: ignore[arg-type]
        ui.app.model.load([row], ui.clock())
        ui.app.main.all_changed()
        assert ui.has("task_again")
        assert not ui.has("task_again", "77s")
        ui.app.pages.open_task("task_again")
        await ui.settle()
        assert ui.has("published", "ran -")
    cli_tasks._print_one(row)
    cli_tasks._print_list([row])
    assert "77" not in capsys.readouterr().out
    cli_tasks._print_one(TaskRow(state="complete", **again))  # type: ignore[arg-type]
    assert "took 77.00s" in capsys.readouterr().out


class Hosts:
    """Other hosts, one of which has a later attempt."""

    def query_all(self, query: str, args: dict[str, Any], timeout: float, enough: int) -> list[Reply]:
        row = {"attempt": 2, "start": 0, "next": 6, "size": 6, "ended": True, "text": "later\n"}
        return [Reply(query=query, rows=[]), Reply(query=query, rows=[row])]


def test_output_comes_from_this_host_or_from_the_one_with_the_last_attempt(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    file = OutputFile(state.tasks(), "task_a", 1)
    file.write(b"one\r\x1b[31mtwo\x1b[0m\nthree\n")
    file.close()
    source = LiveSource(cast(Any, Hosts()), cast(Any, SimpleNamespace()), NoPanes(), state, cast(Any, None))
    assert source.output("task_a", 300, 0) == ["two", "three"]
    assert source.output("task_a", 1, 0) == ["three"]
    assert source.output("task_a", 300, 2) == ["later"]
    assert source.output("task_b", 300, 0) == []


def test_a_log_that_tmux_wrote_is_read_without_its_returns(tmp_path: Path) -> None:
    state = StateDir(tmp_path)
    state.log("testing-01").parent.mkdir(parents=True)
    state.log("testing-01").write_bytes(b"one\r\n10%\r\x1b[31mdone\x1b[0m\r\n")
    source = LiveSource(cast(Any, Hosts()), cast(Any, SimpleNamespace()), NoPanes(), state, cast(Any, None))
    assert source.log("testing-01", 60) == ["one", "\x1b[31mdone\x1b[0m"]


@pytest.mark.asyncio
async def test_a_task_that_is_asked_to_stop_says_so_with_its_seconds_in_the_list_and_on_its_page() -> None:
    async with open_ui(size=(200, 50)) as ui:
        scenes.task(ui.source, ui.clock, "task_slow", "testing.run", "testing-01", ago=5, progress=40)
        await ui.settle()
        row = TaskRow(
            task_id="task_slow", type="testing.run", state="running", attempt=1, agent_id="testing-01",
            created_at=ui.clock() - 5, updated_at=ui.clock(), cancel_requested_at=ui.clock(),
        )  # fmt: skip
        ui.app.model.load([row], ui.clock())
        ui.app.main.all_changed()
        await ui.pass_(3)
        assert ui.has("task_slow", "stopping", "asked to stop 3s ago, over in 22s")
        await ui.pass_(1)
        assert ui.has("task_slow", "asked to stop 4s ago, over in 21s")
        ui.app.pages.open_task("task_slow")
        await ui.settle()
        assert ui.has("stopping", "asked to stop 4s ago")
