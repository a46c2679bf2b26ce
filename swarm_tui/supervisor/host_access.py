"""Give the commands of a host its tmux server, a lock for one `up` or `down`, and signals to its supervisor."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from swarm_tui.config.paths import StateDir, state_home
from swarm_tui.supervisor import locks, processes, state_file
from swarm_tui.supervisor.state_file import Saved
from swarm_tui.tmux.server import DEFAULT, Tmux, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator

Say = Callable[[str], None]
#: A supervisor goes round twice a second, and no single thing that it does takes so long, seconds.
STUCK_AFTER = 20.0
SUPERVISOR_LOCK = "_supervisor"


class UpError(Exception):
    """`up` or `down` cannot; the text is one sentence."""


def server(socket: str) -> Tmux:
    """Return the tmux server of that name, with our config."""
    return Tmux(socket, config=None if socket == DEFAULT else write_config(state_home() / "tmux.conf"))


@contextmanager
def swarm_lock(state: StateDir, waiting: Say, limit: float = 300.0) -> "Iterator[None]":
    """Hold the lock that lets one `up` or `down` of a swarm work at a time. Raises UpError after `limit` seconds."""
    state.create()
    held = locks.take_within(
        state.lock("_swarm"), limit, lambda: waiting("another `up` or `down` of this swarm is at work; waiting for it")
    )
    if held is None:
        raise UpError("another `up` or `down` of this swarm does not end: look for it with `ps`")
    try:
        yield
    finally:
        locks.release(held)


def supervisor_alive(saved: Saved | None) -> bool:
    """Return whether the supervisor that wrote the file lives."""
    if saved is None or saved.boot != state_file.boot_id() or saved.start_time is None:
        return False
    return processes.is_alive(saved.pid, saved.start_time)


def beat(state: StateDir) -> None:
    """Leave a sign that the supervisor goes round: the file's time is the boot's monotonic clock, in seconds.

    To set a time works on a full disk too.
    """
    path, now = beat_path(state), time.monotonic()
    with suppress(OSError):
        try:
            os.utime(path, (now, now))
        except FileNotFoundError:
            path.touch(mode=0o600)
            os.utime(path, (now, now))


def beat_age(state: StateDir) -> float | None:
    """Return the seconds since the supervisor last went round; None when nothing tells."""
    try:
        return max(0.0, time.monotonic() - beat_path(state).stat().st_mtime)
    except OSError:
        return None


def beat_path(state: StateDir) -> Path:
    """Return the file whose time says when the supervisor last went round."""
    return state.root / "supervisor.beat"


def supervisor_trouble(state: StateDir) -> str:
    """Return why the supervisor that lives does nothing, as a sentence that says what to do; empty when it works.

    Empty too when none lives.
    """
    what, todo = find_trouble(state)
    return f"{what}; {todo}" if what else ""


def find_trouble(state: StateDir) -> tuple[str, str]:
    """Return why the supervisor that lives does nothing, and what to do; both empty as of `supervisor_trouble`."""
    found = find_supervisor(state)
    if found is None:
        return "", ""
    pid = found[0]
    if processes.is_stopped(pid):
        what = f"the supervisor (pid {pid}) stands still: a signal stopped it"
        return what, f"`kill -CONT {pid}` lets it go on, `swarm-tui down --now` ends the swarm"
    age = beat_age(state)
    if age is not None and age > STUCK_AFTER:
        what = f"the supervisor (pid {pid}) is stuck: it has done nothing for {age:.0f} s"
        return what, f"`kill -9 {pid}` has another one take over, `swarm-tui down --now` ends the swarm"
    return "", ""


def find_supervisor(state: StateDir) -> tuple[int, float] | None:
    """Return (pid, start time) of the supervisor that lives, by its file, or by its lock where that is damaged."""
    saved = state_file.load(state)
    if saved is not None and saved.start_time is not None and supervisor_alive(saved):
        return saved.pid, saved.start_time
    for pid in locks.holders(state.lock(SUPERVISOR_LOCK)):
        began = processes.start_time(pid)
        if began is not None and str(state.root) in processes.words(pid):
            return pid, began
    return None


def signal_supervisor(state: StateDir, number: signal.Signals) -> bool:
    """Signal the supervisor; False when none lives."""
    found = find_supervisor(state)
    return found is not None and processes.signal_one(*found, number)
