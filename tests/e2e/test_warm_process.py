"""Agents that are forks of one warm process: as good as processes of their own, whatever becomes of that one."""

import os
import random
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from swarm_tui.supervisor import locks, processes
from tests.conftest import RealBroker
from tests.e2e.supervised_swarm import Swarm, own
from tests.faults.producer import pause
from tests.wait import until

pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="Linux only")
ID = "docs-01"
ENTRIES = [own("task-manager-01", "task-manager"), own(ID, "docs")]


@pytest.fixture
def swarm(make_broker: Callable[..., RealBroker], tmp_path: Path) -> Iterator[Swarm]:
    made = Swarm(tmp_path, make_broker().port, list(ENTRIES))
    yield made
    made.close()


def warm_process(swarm: Swarm) -> int:
    """The pid of the warm process; 0 when there is none."""
    with_it = [
        c.pid for c in psutil.Process(swarm.supervisor()).children() if "swarm_tui.agent.warm_process" in c.cmdline()
    ]
    return with_it[0] if with_it else 0


def body(swarm: Swarm, agent_id: str = ID) -> int:
    """The pid of the agent that the pane's own process leads: that process itself where it leads none."""
    return processes.agent_of(swarm.panes()[agent_id].pid)


def back(swarm: Swarm, before: int | None, limit: float = 30.0) -> tuple[int | None, int | None]:
    """Wait for the agent's next process; how the one before ended."""
    row = swarm.await_row(ID, lambda row: row.pid not in (None, before) and row.state == "online", limit)
    return row.exit_status, row.exit_signal


def test_each_is_a_pane_s_own_process_that_signals_reach(swarm: Swarm) -> None:
    swarm.up()
    warm = warm_process(swarm)
    assert psutil.Process(warm).num_threads() == 1
    for agent_id, row in swarm.rows().items():
        pane, agent = swarm.panes()[agent_id], body(swarm, agent_id)
        assert row.pid == pane.pid != agent
        assert psutil.Process(agent).ppid() == warm
        assert os.getsid(agent) == os.getpgid(agent) == agent
        assert locks.holders(swarm.state.lock(agent_id)) == [agent]
        assert str(swarm.state.spec(agent_id)) in processes.words(agent)
        assert processes.memory_of(pane.pid) == processes.memory_of(agent) > 8 * 1024 * 1024
        until(lambda agent_id=agent_id: f"Agent started: {agent_id}" in swarm.log(agent_id), what="its own log")
        terminal = {os.readlink(f"/proc/{agent}/fd/{number}") for number in (0, 1, 2)}
        assert terminal == {os.readlink(f"/proc/{pane.pid}/fd/1")}
    for number, end in ((signal.SIGKILL, (None, 9)), (signal.SIGTERM, (0, None)), (signal.SIGINT, (0, None))):
        agent, pid = body(swarm), swarm.rows()[ID].pid
        swarm.kill(pid, number)
        until(lambda agent=agent: not processes.is_alive(agent), what="the agent to end with its pane's process")
        assert back(swarm, pid) == end
    pid = swarm.rows()[ID].pid
    os.kill(body(swarm), signal.SIGKILL)
    assert back(swarm, pid) == (None, 9)


def test_it_heeds_the_signals_that_an_agent_of_its_own_process_heeds(swarm: Swarm) -> None:
    def ignored(agent_id: str) -> int:
        lines = Path(f"/proc/{body(swarm, agent_id)}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("SigIgn")), 16)

    swarm.up()
    forked, pid = ignored(ID), swarm.rows()[ID].pid
    os.kill(warm_process(swarm), signal.SIGSTOP)
    swarm.kill(pid)
    back(swarm, pid)
    assert body(swarm) == swarm.rows()[ID].pid, "it started by itself"
    assert ignored(ID) == forked


def test_a_warm_process_that_stands_still_or_dies_holds_nobody_up(swarm: Swarm) -> None:
    swarm.up()
    warm, pid = warm_process(swarm), swarm.rows()[ID].pid
    os.kill(warm, signal.SIGSTOP)
    swarm.kill(pid)
    back(swarm, pid)
    assert body(swarm) == swarm.rows()[ID].pid  # It started by itself.
    os.kill(warm, signal.SIGKILL)
    until(lambda: swarm.events("warm"), what="the supervisor to say so")
    others = swarm.pids()
    swarm.kill(pid := others[ID])
    back(swarm, pid)
    assert until(lambda: warm_process(swarm), what="another warm process") != warm
    assert swarm.pids()["task-manager-01"] == others["task-manager-01"]


def test_a_changed_layout_does_without_it_and_has_it_again(swarm: Swarm) -> None:
    swarm.up()
    pids = swarm.pids()
    for warm in (False, True):
        swarm.write(supervisor={"warm": warm})
        swarm.up()
        if not warm:
            until(lambda: not warm_process(swarm), what="the warm process to end")
        pid = swarm.pids()[ID]
        swarm.kill(pid)
        back(swarm, pid)
        assert (body(swarm) != swarm.rows()[ID].pid) is warm
    assert warm_process(swarm)
    assert swarm.pids()["task-manager-01"] == pids["task-manager-01"]


def test_it_ends_with_a_killed_supervisor_and_with_the_swarm(swarm: Swarm) -> None:
    swarm.up()
    warm, pids, supervisor = warm_process(swarm), swarm.pids(), swarm.supervisor()
    os.kill(supervisor, signal.SIGKILL)
    until(lambda: not processes.is_alive(warm), what="the warm process to end")
    until(lambda: swarm.supervisor() != supervisor, what="another supervisor")
    assert until(lambda: warm_process(swarm), what="its warm process") != warm
    assert swarm.pids() == pids
    swarm.down()
    assert swarm.processes() == []


@pytest.mark.drill
def test_a_warm_process_that_is_killed_at_any_moment_loses_and_doubles_nobody(swarm: Swarm) -> None:
    names = [f"general-{number:02d}" for number in range(10)]
    swarm.write(agents=[*ENTRIES, *(own(name) for name in names)], supervisor={"crash_count": 100})
    swarm.up()
    rng, kills, before = random.Random(int(os.environ.get("SWARM_FAULT_SEED", "1"))), 0, swarm.pids()
    for _ in range(30):
        for name in rng.sample(names, 4):
            before[name] = swarm.panes()[name].pid
            processes.signal_one(before[name], None, signal.SIGKILL)
        pause(rng.uniform(0.0, 0.4))
        if warm := warm_process(swarm):
            os.kill(warm, signal.SIGKILL)
            kills += 1
        until(lambda: all(row.state == "online" for row in swarm.rows().values()), 60, str(swarm.rows()))
    print(kills, "kills of the warm process")
    for name in names:
        assert len(locks.holders(swarm.state.lock(name))) == 1
    swarm.down()
    assert swarm.processes() == []
