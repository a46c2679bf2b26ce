"""Whose work this process is: whoever works for a swarm is no person, whatever it says of itself.

What is known of it is its own environment and those with which its ancestors were started. A process that clears its
environment is known by its parent's; one that also leaves its ancestors (it forks, and its parent ends) is known no
more: against that helps only what keeps the swarm's secret out of its sight.
"""

import os
from collections.abc import Iterator

from swarm_tui.processes.descendants import process_info
from swarm_tui.processes.marks import VARIABLE, Mark, mark_of, read_mark

#: The variable by which a task's program knows its task.
TASK = "SWARM_TASK_ID"
#: Ancestors that are looked at.
_DEEP = 100


def works() -> bool:
    """Return whether this process was started by a task's program or is an agent's, however deep."""
    return bool(os.environ.get(TASK)) or next(_marks(), None) is not None


def worker_of(root: str) -> str:
    """Return the agent for which this process works in the swarm whose state folder is `root`; empty where for none.

    The outermost mark tells: what is further in may have been set by the program itself.
    """
    found = [mark.agent_id for mark in _marks() if mark.root == root]
    return found[-1] if found else ""


def _marks() -> Iterator[Mark]:
    """The marks of this process and its ancestors, the innermost first."""
    pid, values = os.getpid(), [os.environ.get(VARIABLE, "")]
    for _ in range(_DEEP):
        values.append(mark_of(pid))
        info = process_info(pid)
        if info is None or info.parent <= 1:
            break
        pid = info.parent
    yield from (mark for value in values if (mark := read_mark(value)) is not None)
