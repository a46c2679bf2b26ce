"""What a pane prints is copied to its log, whatever happens to the file or to the copier."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.config.paths import StateDir
from swarm_tui.supervisor import agent_panes as agent_panes_module
from swarm_tui.supervisor.agent_panes import AgentPanes, PanePlace
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import Tmux
from tests.wait import until


@pytest.fixture
def ticking() -> Iterator[Tmux]:
    tmux = Tmux(f"swarm-test-{secrets.token_hex(4)}")
    script = "while :; do echo tick; sleep 0.01; done"
    tmux.run("new-session", "-d", "-x", "80", "-y", "24", "-s", "s", "--", "sh", "-c", script)
    yield tmux
    tmux.run("kill-server")


def test_a_log_is_kept_and_begun_anew(ticking: Tmux, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = StateDir(tmp_path / "state").create()
    agent_panes, log = AgentPanes(ticking, PanePlace(swarm="s", session="s", tiled=True, state=state)), state.log("a")

    def pane() -> Pane:
        return ticking.panes()[0]

    def keep() -> None:
        agent_panes.rotate("a", pane().pane_id, logged=pane().logged)

    def grows() -> bool:
        return log.exists() and "tick" in log.read_text()

    assert not pane().logged
    keep()
    until(grows, what="ticks")
    assert pane().logged
    log.unlink()
    keep()
    until(grows, what="ticks in a new file where somebody deleted the old one")
    ticking.run("pipe-pane", "-t", pane().pane_id)
    log.write_text("")
    keep()
    until(grows, what="ticks although the copier had ended")
    monkeypatch.setattr(agent_panes_module, "LOG_LIMIT", 1)
    keep()
    assert "tick" in Path(f"{log}.1").read_text()
    until(grows, what="ticks in a new file where the old one was large")
    state.logs.rename(state.root / "moved")
    state.logs.write_text("no folder")
    with pytest.raises(OSError, match="directory"):
        keep()


def test_old_logs_go_and_the_newest_of_those_that_are_there_stays(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state").create()
    panes = AgentPanes(Tmux("nobody"), PanePlace(swarm="s", session="s", tiled=True, state=state))
    state.logs.mkdir(exist_ok=True)
    old = ["a.log.1", "a.log.1.times", "a.log.2.gz", "a.log.2.times", "gone.log", "gone.log.times"]
    quiet, young = ["a.log", "a.log.times"], ["b.log.1", "b.log", "left.log"]
    now = 1e9
    for name in (*old, *quiet, *young):
        path = state.logs / name
        path.write_text("x")
        age = agent_panes_module.LOGS_AGE + (-1.0 if name in young else 1.0)
        os.utime(path, (now - age, now - age))
    panes.sweep(now, {"a": object(), "b": object()})
    assert sorted(path.name for path in state.logs.iterdir()) == sorted([*quiet, *young])
