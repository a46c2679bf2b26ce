"""Lock files: two of anything cannot run, whatever races."""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def take(path: Path) -> int | None:
    """Take the lock and keep it as long as the descriptor is open; None when another holds it. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def take_within(path: Path, limit: float, waiting: Callable[[], None] = lambda: None) -> int | None:
    """Take the lock, for at most `limit` seconds; `waiting` is called once when another holds it."""
    end = time.monotonic() + limit
    if (held := take(path)) is not None:
        return held
    waiting()
    while time.monotonic() < end:
        time.sleep(0.02)
        if (held := take(path)) is not None:
            return held
    return None


def release(descriptor: int) -> None:
    """Let the lock go."""
    os.close(descriptor)


def is_held(path: Path) -> bool:
    """Return whether some process holds the lock now."""
    if not path.exists():
        return False
    held = take(path)
    if held is None:
        return True
    os.close(held)
    return False


def holders(path: Path) -> list[int]:
    """Return the pids that hold the lock, as far as the kernel tells (Linux)."""
    with suppress(OSError):
        # The kernel's list can take 10 ms, and a restart waits for this.
        if not is_held(path):
            return []
        info = path.stat()
        mark = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}:{info.st_ino}"
        found = []
        for line in Path("/proc/locks").read_text().splitlines():
            fields = line.split()
            if "FLOCK" in fields and "->" not in fields and mark in fields:
                found.append(int(fields[fields.index(mark) - 1]))
        return [pid for pid in found if pid > 0]
    return []
