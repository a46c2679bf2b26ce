"""The words that an agent says until they are answered: messages to be accepted, receipts, claims. Pure."""

from msgspec import Struct

from swarm_tui.domain.worker.unacked import RESEND_FIRST, RESEND_MAX
from swarm_tui.protocol.base_body import Body
from swarm_tui.protocol.topics import Kind


class _Owed(Struct, kw_only=True):
    kind: Kind
    body: Body
    due: float
    says: int = 0


class OwedWords:
    """Words by key, oldest first, each said again after a while that doubles. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._owed: dict[str, _Owed] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._owed

    def owe(self, key: str, kind: Kind, body: Body, now: float) -> None:
        """Say it from now on, until it is settled."""
        self._owed[key] = _Owed(kind=kind, body=body, due=now)

    def settle(self, key: str) -> None:
        """Say it no more."""
        self._owed.pop(key, None)

    def count(self, kind: Kind) -> int:
        """Return how many of a kind are owed."""
        return sum(owed.kind is kind for owed in self._owed.values())

    def again(self, now: float) -> None:
        """Have all said at once: whoever hears it is new."""
        for owed in self._owed.values():
            owed.due, owed.says = now, 0

    def due(self, now: float) -> list[tuple[Kind, Body]]:
        """Return what is to be said now."""
        said = []
        for owed in self._owed.values():
            if owed.due <= now:
                owed.due = now + min(RESEND_MAX, RESEND_FIRST * 2 ** min(owed.says, 8))
                owed.says += 1
                said.append((owed.kind, owed.body))
        return said

    def wake(self) -> float | None:
        """Return when the next is due; None when nothing is owed."""
        return min((owed.due for owed in self._owed.values()), default=None)
