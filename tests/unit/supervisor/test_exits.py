"""How an end is learned: the kernel says that there is one, and tmux is asked how, as long as it may still tell."""

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from msgspec import structs

from swarm_tui.config.model import Broker, RestartPolicy, RunSpec
from swarm_tui.supervisor.exits import ASKS, Exits
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.unit import Phase, Unit
from swarm_tui.tmux.errors import TmuxTimeoutError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import Tmux
from tests.wait import until

WAYS = {
    "exit 0": (0, None),
    "exit 7": (7, None),
    "exit 137": (137, None),
    "kill -9 $$": (None, 9),
    "kill -TERM $$": (None, 15),
    "kill -SEGV $$": (None, 11),
}


@pytest.fixture
def tmux() -> Iterator[Tmux]:
    server = Tmux(f"swarm-test-{secrets.token_hex(4)}")
    server.run("new-session", "-d", "-x", "80", "-y", "24", "-s", "s", "--", "sleep", "1000")
    server.run("set-option", "-g", "remain-on-exit", "on")
    yield server
    server.run("kill-server")


def test_tmux_tells_a_status_from_a_signal(tmux: Tmux) -> None:
    made = {
        way: tmux.run("new-window", "-P", "-F", "#{pane_id}", "--", "sh", "-c", f"{way}; true")[0]
        if way.startswith("kill")
        else tmux.run("new-window", "-P", "-F", "#{pane_id}", "--", "sh", "-c", way)[0]
        for way in WAYS
    }

    def ends() -> dict[str, tuple[int | None, int | None]]:
        panes = {pane.pane_id: pane for pane in tmux.panes()}
        os.kill(next(iter(panes.values())).server_pid, signal.SIGCHLD)
        return {way: (panes[pane_id].status, panes[pane_id].signal) for way, pane_id in made.items()}

    until(lambda: all(end != (None, None) for end in ends().values()), what="tmux to know of all")
    assert ends() == WAYS


class Crew:
    """A tmux that learns late: `answers` are taken one a question, the last again and again."""

    def __init__(self, answers: list[Any]) -> None:
        self.tmux, self.answers, self.reaped = self, answers, 0

    def panes(self) -> list[Pane]:
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return [answer]

    def capture(self, pane_id: str, lines: int) -> list[str]:
        return ["its last words"]

    def reap(self, server_pid: int) -> None:
        self.reaped += 1


def dead(pid: int) -> Pane:
    return Pane(
        pane_id="%1", pid=pid, dead=True, status=None, signal=None, active=True, window_active=True, window_id="@0",
        session_id="$0", attached=0, server_pid=1, port=None, incarnation="", agent="a", session="s", window="w",
        role="general", swarm="s",
    )  # fmt: skip


def learn(answers: list[Any], pid: int, folder: Path) -> tuple[Unit, Crew]:
    """What an ending finds out, until it is done."""
    unit = Unit(RunSpec(agent_id="a", role="general", swarm="s", broker=Broker(), workdir="/", state_dir=str(folder)))
    unit.phase, unit.pane_id, unit.saved.pid, unit.saved.wanted = Phase.RUNNING, "%1", pid, False
    agent_panes, mistakes = Crew(answers), []  # type: ignore[var-annotated]
    loop = Loop(on_error=mistakes.append, on_stall=lambda seconds: None)
    services = SimpleNamespace(
        loop=loop, agent_panes=agent_panes, figures=RestartPolicy(), units={"a": unit}, closing=False,
        say=lambda what, agent_id, reason: loop.stop() if what == "stop" else None, changed=lambda: None,
    )  # fmt: skip
    ending = Exits(services, begin=lambda unit: None, advance=lambda: None)  # type: ignore[arg-type]
    loop.after(0.0, lambda: ending.ended(unit, pid))
    loop.run()
    loop.close()
    assert mistakes == []
    return unit, agent_panes


@pytest.fixture
def gone() -> int:
    """The pid of a process that has ended."""
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_status_that_comes_late_is_waited_for(gone: int, tmp_path: Path) -> None:
    late = structs.replace(dead(gone), signal=9)
    unit, agent_panes = learn([structs.replace(dead(gone), dead=False), dead(gone), dead(gone), late], gone, tmp_path)
    assert (unit.saved.exit_status, unit.saved.exit_signal, agent_panes.reaped) == (None, 9, 3)
    assert (unit.saved.reason, unit.saved.tail) == ("ended by signal 9", ["its last words"])


def test_a_status_that_never_comes_is_unknown(gone: int, tmp_path: Path) -> None:
    unit, agent_panes = learn([dead(gone)], gone, tmp_path)
    assert (unit.saved.exit_status, unit.saved.exit_signal, agent_panes.reaped) == (None, None, ASKS)
    assert unit.saved.reason == "ended, status unknown"


def test_a_tmux_that_stands_still_is_asked_until_it_goes_on(
    gone: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("swarm_tui.supervisor.exits.ASK_LATER", 0.001)
    still = [TmuxTimeoutError("no answer")] * (3 * ASKS)
    unit, _ = learn([*still, structs.replace(dead(gone), status=3)], gone, tmp_path)
    assert (unit.saved.exit_status, unit.saved.exit_signal) == (3, None)
