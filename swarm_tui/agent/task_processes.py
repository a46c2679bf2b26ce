"""End what a task's programs left running: the whole tree, whatever session, group or parent it moved to."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress

from swarm_tui.agent.process_groups import GUARDIAN_MARK, ProcessGroups, signal_group, start_time
from swarm_tui.agent.running_attempt import RunningAttempt
from swarm_tui.processes.descendants import ProcessInfo, all_processes, become_subreaper, descendants, signal_process
from swarm_tui.processes.marks import mark_of

#: Seconds after an attempt's end at which it is looked for what was just being born, and for the dead to bury.
_LOOKS = (0.02, 0.05, 0.1, 0.3, 0.7, 1.5, 2.5)
#: Owners that are no attempt's token.
_AGENT, _KEPT, _NOBODY = GUARDIAN_MARK, "kept", ""
_TICKS = os.sysconf("SC_CLK_TCK")


class TaskProcesses:
    """Knows the processes of one agent's attempts. On the loop's thread, but for `close`.

    As the agent is a subreaper, all that its programs start stays below it. Whose a process is tells its mark, the
    program above it, its session or group. One that shed all of these is ended with the last attempt that can have
    started it. Nothing is looked at for an attempt that started no program.
    """

    def __init__(self, state_dir: str, agent_id: str, running: Callable[[], Iterable[RunningAttempt]]) -> None:
        self._groups = ProcessGroups(state_dir, agent_id)
        self._running = running
        self._kept: set[tuple[int, int]] = set()
        self._zombies: set[tuple[int, int]] = set()
        self._used = False

    def prepare(self) -> None:
        """Make ready for programs: from now on no orphan of theirs gets lost."""
        self._groups.start()
        become_subreaper()

    def began(self, attempt: RunningAttempt, pid: int) -> str:
        """Note a new process group of the attempt's, by its leader. Returns when that started, as text."""
        started = start_time(pid)
        attempt.groups[pid] = started
        self._groups.watch(pid, attempt.environment.token)
        return started

    def end(self, attempt: RunningAttempt, *, keep: bool) -> list[ProcessInfo]:
        """End what is left of the attempt's processes; with `keep` leave it, and return it."""
        if not _has_begun(attempt):
            return []
        self._used = True
        if not keep:
            for pid in attempt.groups:
                signal_group(pid, signal.SIGKILL)
        left = self._left(attempt) if _has_children() else []
        for pid in attempt.groups:
            self._groups.release(pid)
        if keep:
            self._kept |= {info.key for info in left}
            return left
        _kill(left)
        if left:
            loop = asyncio.get_running_loop()
            for wait in _LOOKS:
                loop.call_later(wait, self._look_again, attempt)
        return []

    def close(self) -> None:
        """End all that is not kept, for at most half a second: the agent leaves."""
        until = time.monotonic() + 0.5
        while (self._used or any(map(_has_begun, self._running()))) and _has_children():
            left = [info for owner, info in self._owned() if owner not in (_AGENT, _KEPT) and not info.zombie]
            _kill(left)
            if not left or time.monotonic() > until:
                break
            time.sleep(0.01)
        self._groups.close()

    def _look_again(self, attempt: RunningAttempt) -> None:
        _kill(self._left(attempt))

    def _left(self, attempt: RunningAttempt) -> list[ProcessInfo]:
        """Return the attempt's live processes; the dead that nobody waits for are buried on the way."""
        token, since = attempt.environment.token, (attempt.environment.given_at or 0.0) * _TICKS - 1
        alone = not any(_has_begun(other) for other in self._running() if other is not attempt)
        dead: set[tuple[int, int]] = set()
        found = []
        for owner, info in self._owned(attempt):
            if info.zombie:
                if owner != _AGENT:
                    dead.add(info.key)
            elif owner == token or (owner == _NOBODY and alone and info.started >= since):
                found.append(info)
        self._bury(dead)
        return found

    def _bury(self, dead: set[tuple[int, int]]) -> None:
        """Wait for adopted children that have ended. A zombie that is still there at a second look has no waiter."""
        for pid, _ in dead & self._zombies:
            with suppress(OSError):
                os.waitpid(pid, os.WNOHANG)
        self._zombies = dead

    def _owned(self, ended: RunningAttempt | None = None) -> list[tuple[str, ProcessInfo]]:
        """Return our descendants, each with the token of its attempt, or one of the words above."""
        processes = all_processes()
        me = processes.get(os.getpid())
        if me is None:
            return []
        attempts = [*self._running(), *([ended] if ended is not None else [])]
        tokens = {attempt.environment.token for attempt in attempts}
        groups = {pid: attempt.environment.token for attempt in attempts for pid in attempt.groups}
        owners: dict[int, str] = {me.pid: _NOBODY}
        found = []
        for info in descendants(me.pid, processes):
            owner = owners.get(info.parent, _NOBODY) or self._owner(info, me.session, tokens, groups)
            owners[info.pid] = owner
            found.append((owner, info))
        return found

    def _owner(self, info: ProcessInfo, session: int, tokens: set[str], groups: dict[int, str]) -> str:
        if info.key in self._kept:
            return _KEPT
        value = mark_of(info.pid)
        token = value.rpartition(":")[2]
        if token and value.startswith("keep:") and token not in tokens:
            return _KEPT
        if token or info.session == session:
            return token or _AGENT
        return groups.get(info.pid) or groups.get(info.group) or groups.get(info.session) or _NOBODY


def _has_begun(attempt: RunningAttempt) -> bool:
    """Return whether the attempt has started programs, or may have."""
    return attempt.environment.given_at is not None or bool(attempt.groups)


def _has_children() -> bool:
    """Return whether we have any child, such as an orphan that became ours: to ask the kernel costs next to nothing."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    except (OSError, AttributeError):
        pass
    return True


def _kill(processes: list[ProcessInfo]) -> None:
    for info in processes:
        signal_process(info, signal.SIGKILL)
