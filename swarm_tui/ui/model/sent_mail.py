"""Mail that a person has written here: said again until it is accepted, and told of until it is read or answered."""

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from swarm_tui.domain.fleet.mails import REJECTED, SENT, MailView
from swarm_tui.protocol.mail_bodies import MessageNew
from swarm_tui.ui.look.text import flat

AGAIN, GIVE_UP = 2.0, 60.0
"""Seconds until it is said again, and until nobody is expected to accept it any more."""
MOST = 100


class _Own(Struct):
    body: MessageNew
    began: float
    again: float
    told: str = ""


class SentMail:
    """Told what was written, and then of every second. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self._own: dict[str, _Own] = {}

    def expect(self, body: MessageNew, now: float) -> None:
        """Mind a message that was said just now."""
        self._own[body.message_id] = _Own(body, now, now + AGAIN)
        if len(self._own) > MOST:
            del self._own[next(iter(self._own))]

    def update(
        self, mails: Mapping[str, MailView], now: float, say: Callable[[MessageNew], None]
    ) -> Iterator[tuple[str, bool]]:
        """Say again what nobody has accepted. Yields a sentence for each that came further, and whether it is bad."""
        for message_id, own in list(self._own.items()):
            view = mails.get(message_id)
            state = SENT if view is None else view.state
            if view is not None and view.answered_by:
                del self._own[message_id]
                yield f"{view.answered_by} answers: {flat(view.answer, 300)}", False
            elif state == REJECTED and view is not None:
                del self._own[message_id]
                yield f"the message to {own.body.to} was rejected: {view.reason}", True
            elif state == "dead":
                del self._own[message_id]
                yield f"{own.body.to} did not read the message in time", True
            elif state == SENT and now - own.began > GIVE_UP:
                del self._own[message_id]
                yield f"nobody accepted the message to {own.body.to}: is a task-manager there?", True
            elif state == SENT and now >= own.again:
                own.again = now + AGAIN
                say(own.body)
            elif state == "read" and own.told != state:
                own.told = state
                yield f"{own.body.to} has read: {flat(own.body.text, 60)}", False
                if not own.body.expects_answer:
                    del self._own[message_id]
