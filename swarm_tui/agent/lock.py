"""The lock of an agent's id: two processes of one id cannot run on one machine, whatever races."""

import fcntl
import os
import time
from pathlib import Path


class HeldError(Exception):
    """Another process has the id; the text is a sentence that says which and what to do."""


def take(path: Path, agent_id: str, wait: float = 3.0, *, keep_over_exec: bool = False) -> int:
    """Lock `path` and return its descriptor, which holds the lock until it is closed.

    A predecessor that is still leaving gets `wait` seconds. Raises HeldError, or OSError.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    until = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() >= until:
                holder = os.read(handle, 32).decode("ascii", "replace").strip() or "?"
                os.close(handle)
                raise HeldError(
                    f"{agent_id} already runs here (pid {holder}): stop it, or choose another --agent-id"
                ) from None
            time.sleep(0.05)
    os.ftruncate(handle, 0)
    os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    if keep_over_exec:
        os.set_inheritable(handle, True)
    return handle
