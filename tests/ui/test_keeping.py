"""What the screen remembers is on the disk a second after it changed, and when the terminal goes away."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_tui.ui.model.model import ENDED_KEPT
from swarm_tui.ui.model.saved_state import load_state
from tests.ui import scenes
from tests.ui.harness import open_ui


@pytest.mark.asyncio
async def test_a_change_is_kept_without_a_clean_exit(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    async with open_ui("calm", state_path=path) as ui:
        assert not path.exists()
        await ui.press("ctrl+t")
        await ui.pass_(1.0)
        assert load_state(path).theme == "light"
        written = path.stat().st_mtime_ns
        await ui.pass_(2.0)
        assert path.stat().st_mtime_ns == written, "written again though nothing changed"


@pytest.mark.asyncio
async def test_a_closed_terminal_ends_the_screen_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, raised = tmp_path / "screen.json", list[int]()
    monkeypatch.setattr(signal, "raise_signal", raised.append)
    async with open_ui("calm", state_path=path) as ui:
        await ui.press("ctrl+t")
        os.kill(os.getpid(), signal.SIGHUP)
        await ui.pilot.pause()
        await ui.pilot.pause()
        assert load_state(path).theme == "light"
        assert raised == [signal.SIGHUP], "it would wait for a terminal that is gone"
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


@pytest.mark.asyncio
async def test_a_state_that_cannot_be_kept_is_told_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with open_ui("calm", state_path=tmp_path / "file" / "screen.json") as ui:
        await ui.press("ctrl+t")
        await ui.pass_(3.0)
        told = [notice.text for notice in ui.app.notices.all if "was not saved" in notice.text]
        assert len(told) == 1


def test_two_screens_of_a_swarm_keep_their_states_at_once(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    save = (
        "import sys, pathlib\n"
        "from swarm_tui.ui.model.saved_state import ScreenState, load_state, save_state\n"
        "state = ScreenState(theme='light', filters={str(n): 'x' for n in range(2000)})\n"
        "path = pathlib.Path(sys.argv[1])\n"
        "wrong = {save_state(path, state) or load_state(path).theme for _ in range(300)}\n"
        "sys.exit(str(wrong) if wrong != {'light'} else 0)"
    )
    at_once = [subprocess.Popen([sys.executable, "-c", save, str(path)], stderr=subprocess.PIPE) for _ in range(2)]
    assert [screen.communicate()[1] for screen in at_once] == [b"", b""]
    assert [each.name for each in tmp_path.iterdir()] == ["screen.json"]


@pytest.mark.asyncio
async def test_a_list_keeps_no_task_that_is_forgotten() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        for number in range(ENDED_KEPT + 50):
            scenes.task(ui.source, ui.clock, f"old_{number}", "noop", "testing-01", ago=8, end="complete")
        ui.app.updates.drain()
        ui.clock.pass_(3700.0)
        scenes.task(ui.source, ui.clock, "new", "noop", "testing-01", ago=8, end="complete")
        await ui.settle()
        table = ui.app.main.tasks
        assert set(table.rows.ids()) == ui.app.model.fleet.tasks.keys()
        assert "old_0" not in table.rows
