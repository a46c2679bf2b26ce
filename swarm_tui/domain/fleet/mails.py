"""Mail, as the swarm's messages and the dispatcher's record tell of it."""

from collections.abc import Iterable

from msgspec import Struct, field

from swarm_tui.domain.mail.model import MailState, follows
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.mail_bodies import (
    MessageAccepted,
    MessageAnswered,
    MessageDead,
    MessageNew,
    MessageReceipt,
    MessageRejected,
)
from swarm_tui.protocol.rows import MailRow
from swarm_tui.protocol.text import clean, clean_block
from swarm_tui.protocol.topics import Kind

#: Messages that are kept, and receivers of one.
MAX_MAILS, MAX_RECEIVERS = 500, 1000
SENT, ACCEPTED, REJECTED = "sent", "accepted", "rejected"
#: How far a message is by its receipts, the least first: it is as far as its last receiver.
_ORDER = (MailState.WAITING, MailState.DELIVERED, MailState.READ, MailState.ANSWERED)


class ReceiptView(Struct, kw_only=True):
    """A receiver's part of a message. `at` is seconds since the epoch."""

    state: MailState = MailState.WAITING
    at: float = 0.0
    reason: str = ""


class MailView(Struct, kw_only=True):
    """A message as it is seen. Times are seconds since the epoch; all text is safe to show."""

    message_id: str
    sender: str = ""
    to: str = ""
    text: str = ""
    reply_to: str | None = None
    expects_answer: bool = False
    task_id: str | None = None
    at: float = 0.0
    stage: str = SENT
    """The part of its way that leads to the dispatcher: sent, accepted, rejected."""
    reason: str = ""
    receipts: dict[str, ReceiptView] = field(default_factory=dict)
    answer: str = ""
    """The last answer's text."""
    answered_by: str = ""

    @property
    def state(self) -> str:
        """Return the message's state in a word: sent, accepted, delivered, read, answered, dead or rejected.

        With several receivers that of the one that is least far; of those who did not read it only if it is all.
        """
        states = [one.state for one in self.receipts.values() if one.state is not MailState.DEAD]
        if self.stage != ACCEPTED:
            return self.stage
        if not states:
            return "dead" if self.receipts or self.reason else "answered" if self.answered_by else ACCEPTED
        least = min(states, key=_ORDER.index)
        return ACCEPTED if least is MailState.WAITING else least.value

    def is_of(self, name: str) -> bool:
        """Return whether the agent or person sent it, or gets it."""
        return name in (self.sender.removeprefix("guest "), self.to.removeprefix("guest ")) or name in self.receipts


class Mails:
    """The messages that are known, the newest last."""

    def __init__(self) -> None:
        self.all: dict[str, MailView] = {}

    def apply(self, event: Event) -> MailView | None:
        """Take one message of the bus. Returns the mail that it touched, or None where it is about none."""
        body = event.body
        if isinstance(body, MessageNew):
            return self._sent(event, body)
        if isinstance(body, MessageAccepted):
            view = self._view(body.message_id, event.received)
            view.stage, view.reason = ACCEPTED, ""
            view.sender, view.to = clean(body.sender, 160) or view.sender, clean(body.to, 160) or view.to
            for agent_id in body.receivers:
                self._receipt(view, clean(agent_id, 64))
            return view
        if isinstance(body, MessageRejected):
            view = self._view(body.message_id, event.received)
            if view.stage == SENT:
                view.stage, view.reason = REJECTED, clean(body.reason, 500)
            return view
        if isinstance(body, MessageReceipt):
            state = MailState.READ if event.kind is Kind.MESSAGE_READ else MailState.DELIVERED
            return self._moved(body.message_id, body.agent_id, state, event.received)
        if isinstance(body, MessageAnswered):
            return self._answered(event, body)
        if isinstance(body, MessageDead):
            view = self._view(body.message_id, event.received)
            if body.agent_id is None:
                view.reason = clean(body.reason, 500)
                return view
            return self._moved(body.message_id, body.agent_id, MailState.DEAD, event.received, clean(body.reason, 500))
        return None

    def _sent(self, event: Event, body: MessageNew) -> MailView:
        view = self._view(body.message_id, event.received)
        if not view.text:
            asked = self.all.get(body.reply_to or "")
            view.sender = view.sender or clean(event.sender, 160)
            view.to = view.to or clean(body.to, 160) or (asked.sender if asked is not None else "")
            view.text, view.reply_to, view.task_id = clean_block(body.text), body.reply_to, body.task_id
            view.expects_answer = body.expects_answer
        return view

    def _answered(self, event: Event, body: MessageAnswered) -> MailView:
        view = self._view(body.message_id, event.received)
        who = clean(body.sender, 160)
        view.answer, view.answered_by = clean_block(body.text), who
        name = who.removeprefix("guest ")
        if name in view.receipts:
            self._moved(body.message_id, name, MailState.ANSWERED, event.received)
        return view

    def _moved(self, message_id: str, agent_id: str, state: MailState, at: float, reason: str = "") -> MailView:
        view = self._view(message_id, at)
        receipt = self._receipt(view, clean(agent_id, 64))
        if follows(state, receipt.state):
            receipt.state, receipt.at, receipt.reason = state, at, reason
        return view

    def _view(self, message_id: str, at: float) -> MailView:
        view = self.all.get(message_id)
        if view is None:
            view = self.all[message_id] = MailView(message_id=message_id, at=at)
            if len(self.all) > MAX_MAILS:
                del self.all[next(iter(self.all))]
        return view

    def _receipt(self, view: MailView, agent_id: str) -> ReceiptView:
        receipt = view.receipts.get(agent_id)
        if receipt is None:
            receipt = ReceiptView(at=view.at)
            if len(view.receipts) < MAX_RECEIVERS:
                view.receipts[agent_id] = receipt
        return receipt

    def load(self, rows: Iterable[MailRow]) -> list[MailView]:
        """Take what the dispatcher has of mail, newest first: it knows best."""
        found = []
        for row in sorted(rows, key=lambda row: row.accepted_at):
            view = self._view(row.message_id, row.accepted_at)
            view.sender, view.to, view.text = clean(row.sender, 160), clean(row.to, 160), clean_block(row.text)
            view.reply_to, view.task_id, view.expects_answer = row.reply_to, row.task_id, row.expects_answer
            view.at, view.stage = row.accepted_at, ACCEPTED
            for told in row.receipts:
                receipt = self._receipt(view, clean(told.agent_id, 64))
                state = MailState(told.state) if told.state in set(MailState) else receipt.state
                receipt.state, receipt.at, receipt.reason = state, told.at, clean(told.reason, 500)
            found.append(view)
        # What is loaded is older than what was heard, and stands before it.
        self.all = dict(sorted(self.all.items(), key=lambda item: item[1].at))
        return found
