"""Problems that still call: not those that a person has seen. What only happened is counted after a minute."""

from collections import Counter
from collections.abc import Iterable

from swarm_tui.domain.problems import Problem

NEWS = 60.0
"""Seconds that trouble of level `info` is told in full: what happened then is counted until it is seen, what is so by
itself leaves."""
KEEP = 500
#: What goes on until it is mended and makes all else doubtful: it cannot be put aside.
SWARM_WIDE = frozenset({"broker", "dispatcher", "swarm"})
Key = tuple[str, str, str]


class SeenProblems:
    """Told of all problems again and again; `kept` are the ones seen when the screen was last open."""

    def __init__(self, kept: Iterable[Key] = ()) -> None:
        self._seen: dict[Key, None] = dict.fromkeys(kept)
        self._since: dict[Key, float] = {}

    @property
    def kept(self) -> list[Key]:
        """Return what was seen and is not over, to keep for the next time."""
        return list(self._seen)[-KEEP:]

    def update(self, found: Iterable[Problem], now: float) -> None:
        """Take in the problems as they are now. What is over and comes again is new."""
        current = {key_of(problem): problem for problem in found}
        for key in self._since.keys() - current.keys():
            del self._since[key]
            self._seen.pop(key, None)
        for key, problem in current.items():
            self._since.setdefault(key, now if problem.at is None else problem.at)

    def is_current(self, problem: Problem, now: float) -> bool:
        """Tell whether it is still to be shown without being asked for."""
        key = key_of(problem)
        if key in self._seen:
            return False
        return problem.at is not None or not self.is_old(problem, now)

    def is_old(self, problem: Problem, now: float) -> bool:
        """Tell whether it is news no more: something that went wrong once, and calls for nothing at once."""
        return problem.severity == "info" and now - self._since.get(key_of(problem), now) >= NEWS

    def is_seen(self, problem: Problem) -> bool:
        """Tell whether a person has seen it."""
        return key_of(problem) in self._seen

    def mark_seen(self, problems: Iterable[Problem]) -> None:
        """Note that a person has seen these."""
        self._seen.update(dict.fromkeys(key_of(problem) for problem in problems))

    def mark_unseen(self, problems: Iterable[Problem]) -> None:
        """Let them be told again."""
        for problem in problems:
            self._seen.pop(key_of(problem), None)


def key_of(problem: Problem) -> Key:
    """Return what makes it this trouble and no other; its words may change."""
    return problem.subject, problem.id, problem.kind


_COUNTED = {"failed": "failed", "complete": "came out badly", "died": "died and started again"}


def counted(old: list[Problem]) -> str:
    """Count how many of each sort went wrong, in words."""
    sorts = Counter(_COUNTED.get(problem.kind, problem.kind) for problem in old)
    return ", ".join(f"{count} {word}" for word, count in sorts.items())
