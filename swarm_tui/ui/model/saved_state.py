"""Memory of the screen between two openings: filters, sizes, the theme chosen with a key, the last tasks sent."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct, field


class ScreenState(Struct, kw_only=True):
    """The content of one file a swarm."""

    theme: str | None = None
    theme_over: str | None = None
    """The theme that the user's file named when another was chosen: that holds until the file names another still."""
    tab: int = 0
    filters: dict[str, str] = field(default_factory=dict)
    sorts: dict[str, str] = field(default_factory=dict)
    """Column by which each table is sorted, after a minus where the largest comes first."""
    groups: dict[str, str] = field(default_factory=dict)
    """Name of the way in which each table is grouped; empty where it is not."""
    sizes: dict[str, int] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    """The last tasks sent, the newest first: type, payload, target, priority, timeout."""
    draft: dict[str, Any] = field(default_factory=dict)
    drafts: list[dict[str, Any]] = field(default_factory=list)
    """Tasks that were begun and not sent, the newest first."""
    seen: list[tuple[str, str, str]] = field(default_factory=list)
    """The troubles that a person has seen: subject, id, kind."""


def load_state(path: Path | None) -> ScreenState:
    """Read the file; a fresh state when it is not there or not readable."""
    if path is None:
        return ScreenState()
    try:
        state = msgspec.json.decode(path.read_bytes(), type=ScreenState)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ScreenState()
    state.tab = max(0, min(6, state.tab))
    return state


class StateFile:
    """Writes the state when it has changed, so that it outlives an end that nobody planned."""

    def __init__(self, path: Path | None, state: ScreenState) -> None:
        self._path = path
        self._state = state
        self._written = msgspec.json.encode(state)

    def keep(self) -> str | None:
        """Write what is new; why it could not, as a sentence, once for each change."""
        fresh = msgspec.json.encode(self._state)
        if fresh == self._written:
            return None
        self._written = fresh
        return save_state(self._path, self._state)


def save_state(path: Path | None, state: ScreenState) -> str | None:
    """Write the file, 0600; why it could not, as a sentence."""
    if path is None:
        return None
    # Of this process alone: another screen of the swarm may write at the same moment.
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside.touch(mode=0o600)
        beside.write_bytes(msgspec.json.encode(state))
        beside.replace(path)
    except OSError as error:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        return f"the screen's state was not saved: {error.strerror or error}"
    return None
