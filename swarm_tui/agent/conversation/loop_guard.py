"""A conversation that goes round in circles: told with what shows it, ended when it goes on. Pure, but for mtimes."""

import hashlib
import os
from pathlib import Path

from msgspec import Struct

from swarm_tui.agent.conversation.tool_calls import ToolCall

#: Of a folder: so many entries are looked at, and these never.
_MOST_ENTRIES = 20_000
_SKIPPED = frozenset({".git", "node_modules", ".venv", "__pycache__", ".pytest_cache", ".mypy_cache", "target"})


class Finding(Struct, frozen=True, kw_only=True):
    """Evidence of a loop; `stop`: it was told before and goes on."""

    words: str
    stop: bool


class LoopGuard:
    """Counts the same calls, and turns without a new change; 0 turns either off.

    The same call `same_calls` times with no new change between, or `idle_turns` turns without one, is told; half as
    many more end the turn. What a command changes in the folder is a change too. Times are wall seconds.
    """

    def __init__(self, folder: Path, same_calls: int, idle_turns: int, now: float) -> None:
        self._folder, self._same, self._idle = folder, same_calls, idle_turns
        self._counts: dict[str, int] = {}
        self._seen: set[str] = set()
        self._since_turn, self._since = 0, now
        self._told_idle = False

    def ended(self, call: ToolCall, turn: int, now: float) -> Finding | None:
        """Hear of a call that ended. Returns what is found, each thing once."""
        mark = _digest(call.diff(self._folder)) if call.diffs and call.status == "completed" else ""
        if mark and mark not in self._seen:
            self._seen.add(mark)
            self._changed(turn, now)
            return None
        return self._same_again(call, turn, now) or self._nothing_new(turn, now)

    def _same_again(self, call: ToolCall, turn: int, now: float) -> Finding | None:
        if not self._same:
            return None
        key = _digest(f"{call.tool}\0{call.target(self._folder)}\0{sorted(map(str, call.input.items()))}")
        count = self._counts[key] = self._counts.get(key, 0) + 1
        stop = count == self._same + max(1, self._same // 2)
        if (count != self._same and not stop) or self._has_changed(turn, now):
            return None
        return Finding(
            words=f"{count} times {call.tool} {call.target(self._folder)[:300]}, with nothing new", stop=stop
        )

    def _nothing_new(self, turn: int, now: float) -> Finding | None:
        idle = turn - self._since_turn
        stop = self._told_idle and idle >= self._idle + max(1, self._idle // 2)
        if not self._idle or idle < self._idle or (self._told_idle and not stop) or self._has_changed(turn, now):
            return None
        self._told_idle = True
        return Finding(words=f"{idle} turns without a change", stop=stop)

    def _has_changed(self, turn: int, now: float) -> bool:
        if newest_change(self._folder, self._since) is None:
            return False
        self._changed(turn, now)
        return True

    def _changed(self, turn: int, now: float) -> None:
        self._counts.clear()
        self._since_turn, self._since, self._told_idle = turn, now, False


def newest_change(folder: Path, since: float) -> str | None:
    """Return a file below `folder` that changed after `since`; None where none did, as far as was looked."""
    looked, folders = 0, [str(folder)]
    while folders and looked < _MOST_ENTRIES:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    looked += 1
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in _SKIPPED:
                            folders.append(entry.path)
                    elif entry.stat(follow_symlinks=False).st_mtime > since:
                        return entry.path
        except OSError:
            continue
    return None


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
