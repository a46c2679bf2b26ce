"""What `status` measures of this machine's processes by itself, before a heartbeat has told it."""

import os
import subprocess

from swarm_tui.cli.status import _measure
from swarm_tui.supervisor.processes import LEADER, agent_of
from tests.wait import until


def test_the_memory_is_the_agents_and_not_its_panes_leaders() -> None:
    with subprocess.Popen(["sh", "-c", "read end", LEADER, str(os.getpid())], stdin=subprocess.PIPE) as leader:
        # `Popen` returns a little before the system tells the new command line.
        until(lambda: agent_of(leader.pid) == os.getpid(), what="its command line")
        agent = {"pid": leader.pid, "host": None, "state": "online", "memory_rss": None, "uptime": None}
        _measure([agent], "here")
        leader.communicate()
    assert agent["memory_rss"] > 16 * 1024 * 1024  # type: ignore[operator]
