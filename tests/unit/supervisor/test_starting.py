"""Many panes at once, and a tmux that refuses: in lists that tmux takes, and not again before the pause is over."""

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest

from swarm_tui.config.model import Broker, RestartPolicy, RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.spec import read_spec, write_spec
from swarm_tui.supervisor.agent_panes import LOGS_KEPT, AgentPanes, PanePlace
from swarm_tui.supervisor.lifecycle import Lifecycle
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.services import Services
from swarm_tui.supervisor.unit import Unit
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import Tmux
from tests.wait import until


def spec(number: int, folder: Path) -> RunSpec:
    return RunSpec(
        agent_id=f"agent-{number:02}",
        role="general",
        swarm="many",
        broker=Broker(url="mqtt://127.0.0.1:1"),
        workdir=str(folder),
        state_dir=str(folder),
        command=["sleep", "1000"],
    )


class Refusing(Tmux):
    """Lists a pane that is not ours, and takes no list."""

    refused = 0

    def panes(self) -> list[Pane]:
        return [
            Pane(
                pane_id="%0", pid=1, dead=False, status=None, signal=None, active=True, window_active=True,
                window_id="@0", session_id="$0", attached=0, server_pid=1, port=None, incarnation="", agent="",
                session="s", window="w", role="", swarm="",
            )
        ]  # fmt: skip

    def run(self, *argv: str, timeout: float | None = None) -> list[str]:
        self.refused += 1
        raise TmuxError("tmux says no")


@pytest.fixture
def real() -> Iterator[Tmux]:
    tmux = Tmux(f"swarm-test-{secrets.token_hex(4)}")
    tmux.run("new-session", "-d", "-x", "200", "-y", "60", "-s", "s", "--", "sleep", "1000")
    yield tmux
    tmux.run("kill-server")


@pytest.mark.parametrize("tiled", [True, False])
def test_many_panes_are_made_in_lists_that_tmux_takes(real: Tmux, tmp_path: Path, tiled: bool) -> None:
    state = StateDir(tmp_path / ("a-rather-long-name-of-a-folder" * 3)).create()
    agent_panes = AgentPanes(real, PanePlace(swarm="many", session="s", tiled=tiled, state=state))
    new = [(spec(number, tmp_path), 1) for number in range(30)]
    made = agent_panes.create(new, real.panes())
    tags = {pane.pane_id: pane.agent for pane in real.panes()}
    assert [tags[pane.pane_id] for pane in made] == [one.agent_id for one, _ in new]
    assert all(state.log(one.agent_id).read_text().count("incarnation 1") == 1 for one, _ in new)
    assert len({pane.window_id for pane in real.panes() if pane.agent}) == (1 if tiled else 30)


@pytest.mark.parametrize("damage", [None, b"\xff{"])
def test_whoever_starts_an_agent_first_writes_what_it_is_told(real: Tmux, tmp_path: Path, damage: bytes | None) -> None:
    """A periodic check may be earlier than the beginning, and a file may be damaged while the agent runs."""
    state, loop = StateDir(tmp_path / "state").create(), Loop(on_error=_fails, on_stall=lambda seconds: None)
    agent_panes = AgentPanes(real, PanePlace(swarm="many", session="s", tiled=True, state=state))
    one = spec(1, tmp_path)
    services = Services(
        loop, agent_panes, RestartPolicy(), {one.agent_id: Unit(one)},
        say=lambda *words: None, changed=lambda: None, drain=lambda unit: False,
        elsewhere=lambda agent_id: None, lost=lambda: None,
    )  # fmt: skip
    if damage is not None:
        state.spec(one.agent_id).write_bytes(damage)
    Lifecycle(services).advance()
    assert read_spec(state.spec(one.agent_id)) == one
    assert [pane.agent for pane in real.panes() if pane.agent] == [one.agent_id]
    loop.close()


def test_an_id_that_runs_on_another_host_is_not_started_before_that_has_ended(real: Tmux, tmp_path: Path) -> None:
    state, loop = StateDir(tmp_path / "state").create(), Loop(on_error=_fails, on_stall=lambda seconds: None)
    agent_panes = AgentPanes(real, PanePlace(swarm="many", session="s", tiled=True, state=state))
    unit, elsewhere = Unit(spec(1, tmp_path)), {"agent-01": "far"}
    said: list[str] = []
    services = Services(
        loop, agent_panes, RestartPolicy(), {unit.agent_id: unit},
        say=lambda what, agent_id, reason: said.append(what), changed=lambda: None, drain=lambda unit: False,
        elsewhere=elsewhere.get, lost=lambda: None,
    )  # fmt: skip
    lifecycle = Lifecycle(services)
    lifecycle.advance()
    lifecycle.advance()
    assert said == ["elsewhere"]
    assert "the host far" in unit.row().reason
    elsewhere.clear()
    lifecycle.advance()
    assert said == ["elsewhere", "start"]
    assert unit.row().reason == ""
    loop.close()


def test_a_log_outlives_restarts_and_rotations(real: Tmux, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm_tui.supervisor.agent_panes.LOG_LIMIT", 2000)
    state = StateDir(tmp_path / "state").create()
    agent_panes = AgentPanes(real, PanePlace(swarm="many", session="s", tiled=True, state=state))
    counting = ["sh", "-c", 'n=0; while :; do n=$((n+1)); echo "$0 says $n"; sleep 0.01; done', "{agent_id}"]
    one = msgspec.structs.replace(spec(1, tmp_path), state_dir=str(state.root), command=counting)
    write_spec(state.spec(one.agent_id), one)
    pane = agent_panes.create([(one, 1)], real.panes())[0].pane_id
    log = state.log(one.agent_id)
    until(lambda: log.stat().st_size > 2000, what="a log that is large")
    agent_panes.rotate(one.agent_id, pane)
    until(lambda: "says" in log.read_text(), what="the pane to go on in a new file")
    older = Path(f"{log}.1").read_text()
    assert older.startswith("──── agent-01 · incarnation 1 · ")
    last = int(older.rsplit("says ", 1)[1].split()[0])
    assert int(log.read_text().split("says ", 1)[1].split()[0]) - last in (0, 1, 2)
    agent_panes.respawn(pane, one, 2)
    until(lambda: "incarnation 2" in log.read_text() and "says 1\n" in log.read_text(), what="its successor's lines")
    for number in range(LOGS_KEPT + 1):
        log.write_text("x" * 3000 + str(number))
        agent_panes.rotate(one.agent_id, pane)
    kept = sorted(path.name for path in state.logs.iterdir())
    older_ones = [f"agent-01.log.{number}" for number in range(1, LOGS_KEPT + 1)]
    logs = ["agent-01.log", older_ones[0], *(f"{name}.gz" for name in older_ones[1:])]
    assert [name for name in kept if not name.endswith(".times")] == logs
    assert {name for name in kept if name.endswith(".times")} <= {
        f"{name}.times" for name in ("agent-01.log", *older_ones)
    }


def test_a_refusal_is_said_once_a_pause(tmp_path: Path) -> None:
    said: list[Sequence[str]] = []
    tmux, loop = Refusing("swarm-test-none"), Loop(on_error=_fails, on_stall=lambda seconds: None)
    agent_panes = AgentPanes(tmux, PanePlace(swarm="many", session="s", tiled=True, state=StateDir(tmp_path).create()))
    units = {one.agent_id: Unit(one) for one in [spec(0, tmp_path), spec(1, tmp_path)]}
    services = Services(
        loop, agent_panes, RestartPolicy(), units,
        say=lambda *words: said.append(words), changed=lambda: None, drain=lambda unit: False,
        elsewhere=lambda agent_id: None, lost=lambda: None,
    )  # fmt: skip
    lifecycle = Lifecycle(services)
    for _ in range(20):
        lifecycle.advance()
        loop.turn(0.0)
    assert tmux.refused == len(said) == 1
    loop.close()


def _fails(error: Exception) -> None:
    raise error
