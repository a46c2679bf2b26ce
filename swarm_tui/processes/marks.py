"""Mark the processes of a task by a variable of their environment, and find them by it when all else is lost.

A process keeps the environment it was started with, whatever session, group or parent it moves to: what an agent had
running is found by its mark after the agent was killed.
"""

import os
import signal
import time
from collections.abc import Callable

from swarm_tui.processes.descendants import ProcessInfo, process_info, signal_process

#: The variable. Its value is `end|keep:<state folder>:<agent id>:<token>`.
VARIABLE = "SWARM_TASK_MARK"
#: The token of a program that is itself an agent, and no task's.
PROGRAM = "program"
#: Seconds between two looks for what is still there.
_LOOK = 0.02


class MarkedProcess:
    """A process that carries a mark. `keep`: the layout lets it outlive its task."""

    __slots__ = ("agent_id", "info", "keep", "token")

    def __init__(self, info: ProcessInfo, agent_id: str, token: str, *, keep: bool) -> None:
        self.info, self.agent_id, self.token, self.keep = info, agent_id, token, keep


class Mark:
    """A mark, read: the swarm's state folder, the agent, the token of its attempt, and whether the process may stay."""

    __slots__ = ("agent_id", "keep", "root", "token")

    def __init__(self, root: str, agent_id: str, token: str, *, keep: bool) -> None:
        self.root, self.agent_id, self.token, self.keep = root, agent_id, token, keep


def read_mark(value: str) -> Mark | None:
    """Return the variable's value in its parts; None for what is no mark of a task or of an agent's program."""
    parts = value.split(":")
    if len(parts) != 4 or parts[0] not in ("end", "keep"):
        return None
    return Mark(_unquoted(parts[1]), parts[2], parts[3], keep=parts[0] == "keep")


def mark(root: str, agent_id: str, token: str, *, keep: bool = False) -> str:
    """Return the value of the variable for the processes of one attempt.

    `root` is the swarm's state folder, which no two swarms of a machine share; `token` stands for the attempt.
    """
    return f"{'keep' if keep else 'end'}:{_quoted(root)}:{agent_id}:{token}"


def mark_of(pid: int) -> str:
    """Return the mark that a process was started with; empty when it has none, is gone, or is another user's."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            environment = file.read()
    except OSError:
        return ""
    name = f"{VARIABLE}=".encode()
    at = 0 if environment.startswith(name) else environment.find(b"\0" + name) + 1
    if not at and not environment.startswith(name):
        return ""
    return environment[at + len(name) :].partition(b"\0")[0].decode("utf-8", "replace")


def find_marked(root: str) -> list[MarkedProcess]:
    """Return the live processes of ours that carry a mark of the swarm whose state folder is `root`."""
    found = []
    for pid in _pids():
        value = mark_of(pid)
        read = read_mark(value)
        if read is None or read.root != root or pid == os.getpid():
            continue
        info = process_info(pid)
        # Read again: the pid may be another's by now.
        if info is not None and not info.zombie and mark_of(pid) == value:
            found.append(MarkedProcess(info, read.agent_id, read.token, keep=read.keep))
    return found


def may_end(one: MarkedProcess) -> bool:
    """Return whether the layout lets the process end with its task, which is so unless it says `children: keep`."""
    return not one.keep


def end_marked(root: str, meant: Callable[[MarkedProcess], bool] = may_end, *, within: float = 3.0) -> int:
    """Kill the `meant` ones of those that carry a mark of the swarm, until none is left, for at most `within` seconds.

    Returns how many there were. By default all of them but those that may be kept.
    """
    seen: set[tuple[int, int]] = set()
    until = time.monotonic() + within
    while True:
        found = [one for one in find_marked(root) if meant(one)]
        for one in found:
            seen.add(one.info.key)
            signal_process(one.info, signal.SIGKILL)
        if not found or time.monotonic() >= until:
            return len(seen)
        time.sleep(_LOOK)


def _quoted(root: str) -> str:
    return root.replace("%", "%25").replace(":", "%3A")


def _unquoted(text: str) -> str:
    return text.replace("%3A", ":").replace("%25", "%")


def _pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def main(words: list[str]) -> None:
    """End what an agent's death left: `words` are the state folder, the agent's id and the tokens of its attempts."""
    root, agent_id, *tokens = words
    wanted = frozenset(tokens)
    end_marked(root, lambda one: one.agent_id == agent_id and one.token in wanted)
