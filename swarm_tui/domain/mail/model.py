"""Mail as the dispatcher keeps it: one record a message, with a receipt for each receiver. Wall times."""

from collections import deque
from enum import StrEnum

from msgspec import Struct, field

#: The name that stands for every agent.
ALL = "all"
#: How one writes a role whose name an agent has too.
ROLE = "role:"
#: How those are named who have no inbox: they read what is kept.
PERSON = "operator:"

#: Bytes of a text; messages that wait for one receiver; open messages to a role or all; receivers of one.
MAX_TEXT, MAX_WAITING, MAX_WIDE, MAX_RECEIVERS = 16_384, 1000, 100, 1000
#: Seconds that a message waits to be read: to an agent; to a role or all; and the longest that a sender may say.
LIFE, WIDE_LIFE, LONGEST_LIFE = 86_400.0, 3600.0, 604_800.0
#: Messages that one agent has on their way to it at a time, and seconds until one is said again, doubled each time.
WINDOW, AGAIN, AGAIN_MOST = 20, 2.0, 30.0


class MailState(StrEnum):
    """The state of a message at one receiver."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    READ = "read"
    ANSWERED = "answered"
    DEAD = "dead"


_RANK = {
    state: rank
    for rank, state in enumerate(
        (MailState.WAITING, MailState.DEAD, MailState.DELIVERED, MailState.READ, MailState.ANSWERED)
    )
}


def follows(state: MailState, before: MailState) -> bool:
    """Return whether a receipt takes a message further.

    One that was given up and is read after all is read; one that was only delivered late stays dead.
    """
    if before is MailState.DEAD and state is MailState.DELIVERED:
        return False
    if state is MailState.DEAD:
        return before in (MailState.WAITING, MailState.DELIVERED)
    return _RANK[state] > _RANK[before]


class Receipt(Struct, kw_only=True, omit_defaults=True):
    """The part that one receiver has in a message: how far it has come, since when, and the answer's id."""

    state: MailState = MailState.WAITING
    at: float = 0.0
    answer_id: str = ""
    reason: str = ""


class Mail(Struct, kw_only=True, omit_defaults=True):
    """A message's record, as the journal keeps it."""

    message_id: str
    sender: str
    """By proof where words are proved: an agent's id, `operator:…`, `guest …`."""
    to: str
    text: str
    digest: str
    seq: int
    accepted_at: float
    expires_at: float
    reply_to: str = ""
    expects_answer: bool = False
    task_id: str = ""
    wide: bool = False
    """To a role or all: who comes before it expires gets it too."""
    closed: bool = False
    """Nobody is added to its receivers any more."""
    receivers: dict[str, Receipt] = {}

    @property
    def ended(self) -> bool:
        """Return whether nothing more happens to it by itself."""
        return self.closed and not any(
            one.state in (MailState.WAITING, MailState.DELIVERED) for one in self.receivers.values()
        )


class UnreadMail(Struct, kw_only=True):
    """The mail of one agent that it has not read. Never journaled: it follows from the messages."""

    waiting: dict[str, float] = {}
    """Messages that may not be in its hands, oldest first, with the monotonic time at which to say each (again)."""
    sends: dict[str, int] = {}
    delivered: set[str] = set()
    """Messages that it has. What another life of the dispatcher wrote of them is asked for again: they wait too."""

    @property
    def ids(self) -> list[str]:
        """Return the messages that it has not read, each once."""
        return list({**self.waiting, **dict.fromkeys(self.delivered)})

    def arrived(self, message_id: str) -> None:
        """Say it no more: the agent says that it has it."""
        self.waiting.pop(message_id, None)
        self.sends.pop(message_id, None)


class Post(Struct, kw_only=True):
    """All mail that is open, and what ended lately."""

    mails: dict[str, Mail] = field(default_factory=dict)
    unread: dict[str, UnreadMail] = field(default_factory=dict)
    wide: dict[str, None] = field(default_factory=dict)
    """Messages to a role or all that others may still get."""
    past: deque[str] = field(default_factory=deque)
    """Ended messages that are still in `mails`, oldest first."""
    seq: int = 0

    def unread_of(self, agent_id: str) -> UnreadMail:
        """Return what the agent has not read, made when it is needed."""
        box = self.unread.get(agent_id)
        if box is None:
            box = self.unread[agent_id] = UnreadMail()
        return box

    def remember(self, mail: Mail, now: float) -> None:
        """Know a message of the journal (again), open or ended; `now` is monotonic."""
        if mail.message_id in self.mails:
            return
        self.mails[mail.message_id] = mail
        self.seq = max(self.seq, mail.seq)
        if mail.ended:
            self.past.append(mail.message_id)
            return
        if mail.wide and not mail.closed:
            self.wide[mail.message_id] = None
        for agent_id, receipt in mail.receivers.items():
            if receipt.state in (MailState.WAITING, MailState.DELIVERED):
                self.unread_of(agent_id).waiting[mail.message_id] = now
            if receipt.state is MailState.DELIVERED:
                # It may have been read since: one that led meanwhile, of which the journal does not know, was told so.
                self.unread_of(agent_id).delivered.add(mail.message_id)

    def forget(self, keep: int = 1000) -> None:
        """Let go of the oldest ended messages, which the journal has."""
        while len(self.past) > keep:
            mail = self.mails.get(self.past.popleft())
            if mail is not None and mail.ended and mail.message_id not in self.past:
                del self.mails[mail.message_id]
