"""The results that a worker owes the dispatcher until it says `ack`. Pure; `now` is monotonic seconds."""

from collections.abc import Iterable

from msgspec import Struct

from swarm_tui.domain.worker.actions import Answer, Say

#: Seconds until a result is said again, doubled each time.
RESEND_FIRST, RESEND_MAX = 2.0, 60.0


class _Owed(Struct, kw_only=True):
    answer: Answer
    sends: int = 1
    next_at: float = 0.0


class Unacked:
    """Owed answers by (task id, attempt), oldest first, each said again until it is acknowledged."""

    def __init__(self) -> None:
        self._owed: dict[tuple[str, int], _Owed] = {}

    def answers(self) -> list[Answer]:
        """Return all that wait for an ack, oldest first."""
        return [entry.answer for entry in self._owed.values()]

    def take_over(self, answers: Iterable[Answer]) -> None:
        """Owe what an earlier life did not get acknowledged: it is said at once."""
        self._owed.update({answer.key: _Owed(answer=answer) for answer in answers})

    def add(self, answer: Answer, now: float) -> None:
        """Owe an answer that is being said for the first time."""
        self._owed[answer.key] = _Owed(answer=answer, next_at=now + RESEND_FIRST)

    def acknowledged(self, task_id: str, attempt: int | None) -> list[tuple[str, int]]:
        """Forget what was acknowledged, of all attempts for None; which they were."""
        keys = [key for key in self._owed if key[0] == task_id and attempt in (None, key[1])]
        for key in keys:
            del self._owed[key]
        return keys

    def holds(self, task_id: str, attempt: int) -> bool:
        """Return whether the answer of this attempt is owed."""
        return (task_id, attempt) in self._owed

    def of(self, task_id: str) -> list[Answer]:
        """Return what is owed of a task."""
        return [answer for answer in self.answers() if answer.body.task_id == task_id]

    def again(self, answers: Iterable[Answer], now: float) -> list[Say]:
        """Say these owed answers again, and wait longer for the next time."""
        said = []
        for answer in answers:
            entry = self._owed[answer.key]
            entry.next_at = now + min(RESEND_MAX, RESEND_FIRST * 2 ** min(entry.sends, 8))
            entry.sends += 1
            said.append(Say(answer.kind, answer.body, answer.message_id))
        return said

    def due(self, now: float) -> list[Say]:
        """Say again what has waited long enough."""
        return self.again([entry.answer for entry in self._owed.values() if entry.next_at <= now], now)

    def wake(self) -> float | None:
        """Return when the next is due; None when none is owed."""
        return min((entry.next_at for entry in self._owed.values()), default=None)
