"""When tmux, or all of the machine, stands still for a while: nobody is restarted for it, and nothing stays undone."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from swarm_tui.supervisor import processes
from tests.conftest import RealBroker
from tests.e2e.supervised_swarm import Swarm, light
from tests.wait import until

#: Seconds of the long sleep.
ASLEEP = 120


@contextmanager
def running(folder: Path, broker: RealBroker, agents: list[dict[str, Any]], **layout: Any) -> Iterator[Swarm]:
    """A swarm that is up."""
    swarm = Swarm(folder, broker.port, agents, **layout)
    try:
        swarm.up()
        yield swarm
    finally:
        swarm.close()


@contextmanager
def frozen(swarm: Swarm, broker: RealBroker) -> Iterator[None]:
    """All of a swarm stands still: its tmux server, supervisor and agents, and its broker."""
    server = swarm.tmux.panes()[0].server_pid
    # tmux first, which would wake the processes of its panes; and last to wake, as unkind as can be.
    found = [one.pid for one in swarm.processes() if one.pid != server]
    assert broker.process is not None
    stopped = [server, *_families(found), broker.process.pid]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(stopped):
            os.kill(pid, signal.SIGCONT)


def _families(pids: list[int]) -> list[int]:
    """The processes and all that they started, each once."""
    children = [child.pid for pid in pids for child in psutil.Process(pid).children(recursive=True)]
    return list(dict.fromkeys([*pids, *children]))


def online(swarm: Swarm) -> bool:
    return all(row.state == "online" for row in swarm.rows().values())


def test_a_tmux_that_stands_still_is_told_and_its_agents_come_back(tmp_path: Path, real_broker: RealBroker) -> None:
    agents = [light("a"), light("b"), light("c")]
    with running(tmp_path, real_broker, agents, supervisor={"tmux_wait": 0.3}) as swarm:
        before, server = swarm.pids(), swarm.tmux.panes()[0].server_pid
        os.kill(server, signal.SIGSTOP)
        try:
            swarm.kill(before["a"])
            told = until(lambda: swarm.events("tmux"), 5, "a word about tmux")
            assert "nothing can be started" in str(told[0]["reason"])
            # It goes on meanwhile: what it hears is written down.
            swarm.run("stop", "--swarm", swarm.name, "b", "--wait", "0.1")
            until(lambda: swarm.events("asked"), 5, "the order")
        finally:
            os.kill(server, signal.SIGCONT)
        row = swarm.await_row("a", lambda row: row.state == "online" and row.pid != before["a"])
        assert row.exit_signal == 9
        until(lambda: swarm.events("tmux")[-1]["reason"] == "it answers again", 5, "a word that it is over")
        assert len([pane for pane in swarm.tmux.panes() if pane.agent == "a"]) == 1
        swarm.await_row("b", lambda row: row.state == "stopped")
        assert swarm.pids()["c"] == before["c"]


def test_who_stood_still_with_all_the_rest_is_not_restarted(
    tmp_path: Path, real_broker: RealBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIGHT_AGENT_BEAT", "0.6")
    with running(tmp_path, real_broker, [light("a"), light("b")], supervisor={"silent_after": 1.2}) as swarm:
        before = swarm.pids()
        until(lambda: online(swarm), what="both")
        with frozen(swarm, real_broker):
            time.sleep(1.4)
        woken = time.time()
        until(lambda: swarm.events("stall"), 5, "the supervisor to notice")
        until(lambda: time.time() > woken + 1.4, 3, "a verdict")
        assert swarm.pids() == before
        assert swarm.events("hung") == []
        assert online(swarm)


@pytest.mark.drill
def test_a_machine_that_slept_two_minutes_goes_on_as_before(tmp_path: Path, real_broker: RealBroker) -> None:
    roles = ["task-manager", "code-review", "deployment", "testing", "security", "docs", "database", "general"]
    agents: list[dict[str, Any]] = [{"role": role, "id": f"{role}-1"} for role in roles]
    agents[-1]["handlers"] = {"any.work": {"use": "noop"}}
    with running(tmp_path, real_broker, [*agents, light("other")]) as swarm:
        before, supervisor = swarm.pids(), swarm.supervisor()
        with frozen(swarm, real_broker):
            time.sleep(ASLEEP)
        woken = time.monotonic()
        until(lambda: swarm.events("stall"), 60, "the supervisor to notice")
        until(lambda: online(swarm) and swarm.saved().bus_up, 60, "all online")
        print(f"online again {time.monotonic() - woken:.1f} s after waking")
        done = swarm.run("publish", "--swarm", swarm.name, "any.work", "--wait")
        assert done.returncode == 0, done.stderr
        print(f"a task done {time.monotonic() - woken:.1f} s after waking")
        # Whoever were called hung by it would be so within this.
        time.sleep(max(0.0, woken + 60 - time.monotonic()))
        assert (swarm.pids(), swarm.supervisor()) == (before, supervisor)
        assert all(row.restarts == 0 for row in swarm.rows().values())
        assert online(swarm)
        assert swarm.events("hung") == []
        assert processes.is_alive(supervisor)
