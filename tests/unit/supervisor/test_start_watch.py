"""`up` ends as soon as it is known why a start cannot go on."""

import os
import time
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.config.model import AgentEntry, Broker, Layout
from swarm_tui.config.model import Tmux as TmuxLayout
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.restart import History
from swarm_tui.protocol.bodies import PaneStatus
from swarm_tui.supervisor import processes, start_watch, state_file
from swarm_tui.supervisor.host_access import beat, supervisor_trouble
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.start_watch import StartWatch
from swarm_tui.supervisor.state_file import Saved, SavedUnit
from swarm_tui.supervisor.supervisor_pane import ENDED
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import Tmux
from tests.wait import until


class Shown(Tmux):
    """A tmux with the supervisor's pane, or without it; `lines` are on it."""

    gone = False

    def __init__(self) -> None:
        super().__init__("x")
        self.lines: list[str] = []

    def panes(self) -> list[Pane]:
        if self.gone:
            return []
        return [
            Pane(
                pane_id="%0", pid=1, dead=False, status=None, signal=None, active=True, window_active=True,
                window_id="@0", session_id="$0", attached=0, server_pid=1, port=None, incarnation="", agent="",
                session="s", window="control", role="supervisor", swarm="s",
            )
        ]  # fmt: skip

    def capture(self, pane_id: str, lines: int = 20) -> list[str]:
        return self.lines[-lines:]


class Start:
    """A swarm that starts: `say` writes what its supervisor, this process, would."""

    def __init__(self, folder: Path, *entries: AgentEntry, socket: str = "x") -> None:
        self.state = StateDir(folder).create()
        self.plan = Plan(
            layout=Layout(
                swarm="s", session="s", broker=Broker(url="mqtt://127.0.0.1:1"), tmux=TmuxLayout(socket=socket),
                agents=list(entries),
            ),
            path="", workdir=str(folder), host="h", session="s",
        )  # fmt: skip
        self.tmux = Shown()

    def watch(self, *, adopted: bool = False) -> StartWatch:
        return StartWatch(self.plan, self.state, self.tmux, adopted=adopted)

    def say(self, pid: int | None = None, **more: Any) -> None:
        number = pid or os.getpid()
        began = processes.start_time(number)
        saved = Saved(pid=number, start_time=began, boot=state_file.boot_id(), plan=self.plan.identity(), **more)
        state_file.save(self.state, saved)


def row(agent_id: str, state: str, pid: int | None = None) -> PaneStatus:
    return PaneStatus(agent_id=agent_id, state=state, pid=pid)


def test_what_the_supervisor_knows_ends_the_wait(tmp_path: Path) -> None:
    start = Start(tmp_path, AgentEntry(role="general", id="a"))
    start.say(rows=[row("a", "starting", 7)])
    watch = start.watch()
    assert (watch.look().done, watch.look().cause) == (False, "")
    start.say(rows=[row("a", "starting", 7)], cause="mosquitto on port 1 does not start: no room")
    assert watch.look().cause == "mosquitto on port 1 does not start: no room"
    start.say(rows=[row("a", "online", 7)])
    assert watch.look().done


def test_a_task_manager_that_does_not_dispatch_is_waited_for(tmp_path: Path) -> None:
    start = Start(tmp_path, AgentEntry(role="task-manager", id="boss"))
    start.say(rows=[row("boss", "online", 7)])
    found = start.watch().look()
    assert (found.known, found.missing, found.led, found.done) == (True, [], False, False)
    start.say(rows=[row("boss", "online", 7)], dispatcher="boss")
    assert start.watch().look().done


def test_one_that_is_another_program_need_not_say_that_it_dispatches(tmp_path: Path) -> None:
    start = Start(tmp_path, AgentEntry(role="task-manager", id="boss", command=["theirs"]))
    start.say(rows=[row("boss", "online", 7)])
    assert start.watch().look().done


def test_agents_that_all_end_at_their_start_are_not_waited_for(tmp_path: Path) -> None:
    start = Start(
        tmp_path,
        AgentEntry(role="general", id="a"),
        AgentEntry(role="general", id="b"),
        AgentEntry(role="general", id="c", depends_on=["b"]),
    )
    rows = [row("a", "backoff"), row("b", "starting", 7), row("c", "starting")]

    def after(failures: int) -> str:
        units = {name: SavedUnit(history=History(failures=failures)) for name in ("a", "b")}
        start.say(rows=rows, units={**units, "c": SavedUnit()})
        return start.watch().look().cause

    assert after(start_watch.AGENT_ENDS - 1) == ""
    assert after(start_watch.AGENT_ENDS) == "no agent stays up"
    rows[0] = row("a", "online", 8)
    assert after(start_watch.AGENT_ENDS) == ""
    rows[1] = row("b", "crashloop")
    assert after(start_watch.AGENT_ENDS) == "what they depend on does not stay up"


def test_a_supervisor_that_ends_again_and_again_is_quoted(tmp_path: Path) -> None:
    start = Start(tmp_path)
    watch = start.watch()
    start.tmux.lines = ["ModuleNotFoundError: no paho", f"{ENDED} 1; it is started again"]
    assert watch.look().cause == ""
    start.tmux.lines = start.tmux.lines * 2
    assert "no paho" in until(lambda: watch.look().cause, what="the cause")
    assert start.watch(adopted=True).look().cause == "", "what the pane showed before `up` counts for nothing"


def test_a_session_that_vanishes_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start_watch, "MADE_AGAIN_WITHIN", 0.3)
    start = Start(tmp_path, socket="default")
    start.tmux.gone = True
    watch = start.watch()
    assert watch.look().cause == ""
    assert "tmux session s is gone" in until(lambda: watch.look().cause, what="the cause")
    assert "tmux.conf" in watch.look().cause


def test_a_supervisor_that_stands_still_is_said(tmp_path: Path, frozen: int) -> None:
    start = Start(tmp_path, AgentEntry(role="general", id="a"))
    start.say(pid=frozen, rows=[row("a", "starting", 7)])
    assert f"kill -CONT {frozen}" in start.watch().look().cause
    start.say(pid=frozen, rows=[row("a", "online", 7)])
    assert f"kill -CONT {frozen}" in start.watch(adopted=True).look().cause, "though all had registered"


def test_a_supervisor_that_goes_round_no_more_is_stuck(tmp_path: Path) -> None:
    start = Start(tmp_path)
    assert supervisor_trouble(start.state) == ""
    start.say()
    beat(start.state)
    assert supervisor_trouble(start.state) == ""
    beats = tmp_path / "supervisor.beat"
    long_ago = time.monotonic() - 3600
    os.utime(beats, (long_ago, long_ago))
    assert "is stuck: it has done nothing for 3600 s" in supervisor_trouble(start.state)
    beat(start.state)
    assert supervisor_trouble(start.state) == ""
