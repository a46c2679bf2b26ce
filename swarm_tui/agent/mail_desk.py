"""An agent's mail: taken into its mailbox and confirmed, sent until it is accepted; and its claims on paths.

What it owes (a message to be accepted, a receipt, a claim) is said again until the dispatcher answers in the inbox.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.agent.handlers.mail import Claimed, MailError, Message
from swarm_tui.agent.running_attempt import RunningAttempt
from swarm_tui.agent.task_mail import TaskMail
from swarm_tui.domain.mail.model import MAX_TEXT
from swarm_tui.domain.mail.owed import OwedWords
from swarm_tui.domain.worker.actions import HeldLease
from swarm_tui.protocol.bodies import Inbox
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.mail_bodies import MessageNew, MessageReceipt, PathsClaim, PathsRelease
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind

if TYPE_CHECKING:
    from swarm_tui.journal.mailbox import Mailbox

#: Commands of an inbox that are about mail.
COMMANDS = frozenset({"message", "receipt", "paths"})
#: Messages that may wait to be accepted.
MAX_UNSENT = 1000
#: Seconds between two looks for what a task's program has read itself.
LOOK_EVERY = 5.0


class MailDesk:
    """Mail and claims of one agent. Thread-safe; times are monotonic seconds."""

    def __init__(
        self,
        reporter: AgentReporter,
        agent_id: str,
        path: Path,
        lease_of: Callable[[RunningAttempt], HeldLease],
        clock: Callable[[], float],
        changed: Callable[[], None],
    ) -> None:
        """Make it; the mailbox is at `path`.

        `lease_of` gives the lease that counts for an attempt, `changed` is told when something is due.
        """
        self._reporter, self.agent_id, self._path = reporter, agent_id, path
        self._box: Mailbox | None = None
        self._lease_of, self._clock, self._changed = lease_of, clock, changed
        self._owed = OwedWords()
        self._asking: dict[str, tuple[RunningAttempt, Callable[[Message | str], None]]] = {}
        self._claiming: dict[str, tuple[RunningAttempt, Callable[[Claimed], None]]] = {}
        self._unread = False
        self._unknown: set[str] = set()
        """Messages that were read, and which the dispatcher that leads does not know."""
        self._look_at = 0.0
        self._broken = ""
        self._lock = threading.RLock()

    @property
    def box(self) -> "Mailbox":
        """Return the mailbox; what it is made of is loaded by those agents only that have mail."""
        with self._lock:
            if self._box is None:
                from swarm_tui.journal.mailbox import Mailbox

                self._box = Mailbox(self._path)
            return self._box

    def open(self) -> None:
        """Take up what an earlier life of the agent left to be said."""
        if not self._path.exists():
            return
        try:
            self.box.prune(self._reporter.now())
            unsent, self._unread = self.box.unsent(), self.box.has_unread(self._reporter.now())
        except OSError as error:
            self._complain(error)
            return
        with self._lock:
            for message in unsent:
                self._owed.owe(_sent(message.message_id), Kind.MESSAGE_NEW, message, self._clock())
        self._look_for_read()

    def close(self) -> None:
        """Let go of the mailbox."""
        if self._box is not None:
            self._box.close()

    # what the inbox says

    def heard(self, event: Event) -> None:
        """Hear an order about mail or a claim."""
        body = event.body
        if not isinstance(body, Inbox) or (event.expires_at is not None and event.expires_at < event.received):
            return
        if body.message is not None:
            self._message(body.message)
        elif body.command == "receipt" and body.answer is not None:
            self._receipt(body.answer)
        elif body.command == "paths" and body.answer is not None:
            self._claimed(body.answer)

    def _message(self, message: MessageNew) -> None:
        """Keep a message, and confirm it once it is kept; an answer that is waited for is handed over at once."""
        try:
            read = self.box.take(message, self._reporter.now())
        except OSError as error:
            # Not confirmed: it comes again.
            self._complain(error)
            return
        self._broken = ""
        waits = None
        with self._lock:
            if not read:
                waits = self._asking.pop(message.reply_to or "", None)
                self._unread = self._unread or waits is None
        if waits is not None:
            attempt, done = waits
            self.read_one(message.message_id, attempt.task_id)
            done(_message(message))
        elif read:
            self._say_read(message.message_id, None)
        else:
            if read is None:
                self._reporter.note(f"mail from {clean(message.sender or '', 100)}: {clean(message.text, 100)}", "✉")
            self._reporter.say(
                Kind.MESSAGE_DELIVERED, MessageReceipt(message_id=message.message_id, agent_id=self.agent_id)
            )
        self._changed()

    def _receipt(self, answer: dict[str, Any]) -> None:
        message_id, state = str(answer.get("message_id")), answer.get("state")
        reason = str(answer.get("reason") or "")
        try:
            if state == "read":
                self.box.told(message_id)
            elif state in ("accepted", "rejected"):
                self.box.settled(message_id)
        except OSError as error:
            self._complain(error)
        with self._lock:
            if state == "unknown" and _read(message_id) in self._owed:
                self._unknown.add(message_id)
            self._owed.settle(_read(message_id) if state in ("read", "unknown") else _sent(message_id))
            waits = self._asking.pop(message_id, None) if state in ("rejected", "dead") else None
        if state in ("rejected", "dead"):
            self._reporter.note(f"message {message_id}: {reason}", "⚠")
        if waits is not None:
            waits[1](reason)

    def _claimed(self, answer: dict[str, Any]) -> None:
        try:
            told = msgspec.convert(answer, Claimed)
        except msgspec.ValidationError:
            return
        with self._lock:
            self._owed.settle(_claim(told.claim_id))
            waits = self._claiming.pop(told.claim_id, None)
        if waits is not None:
            waits[1](told)

    # what a task wants

    def of(self, attempt: RunningAttempt, running: Callable[[], list[str]]) -> TaskMail:
        """Return the mail of an attempt; `running` gives the ids of all tasks that the agent is at."""
        return TaskMail(self, attempt, running)

    def read(self, task_id: str, running: Iterable[str]) -> list[Message]:
        """Take out what nobody has read; what is about another task of this agent that runs is left to that."""
        try:
            found = self.box.read(self._reporter.now(), task_id, running)
        except OSError as error:
            self._complain(error)
            return []
        for message in found:
            self._say_read(message.message_id, task_id)
        if found:
            # There may be more. Nothing found is no sign: what is another task's its program may read yet.
            with self._lock:
                self._unread = True
        self._changed()
        return [_message(message) for message in found]

    def read_one(self, message_id: str, task_id: str | None) -> None:
        """Count one message as read."""
        try:
            self.box.read_one(message_id, self._reporter.now(), task_id)
        except OSError as error:
            self._complain(error)
        self._say_read(message_id, task_id)

    def send(self, message: MessageNew) -> None:
        """Send a message until it is accepted, over restarts of the agent too. Raises MailError."""
        text = self._reporter.redact.text(message.text)
        if len(text.encode("utf-8", "replace")) > MAX_TEXT:
            raise MailError(f"a message has at most {MAX_TEXT:,} bytes: hand a file on, and say where it is")
        message = msgspec.structs.replace(message, sender=self.agent_id, text=text)
        with self._lock:
            if self._owed.count(Kind.MESSAGE_NEW) >= MAX_UNSENT:
                raise MailError(f"{MAX_UNSENT:,} messages wait for a dispatcher to accept them")
        try:
            self.box.keep_sent(message, self._reporter.now())
        except OSError as error:
            raise MailError(f"the mailbox cannot be written: {error}") from error
        with self._lock:
            self._owed.owe(_sent(message.message_id), Kind.MESSAGE_NEW, message, self._clock())
        self._say_due()

    def await_answer(self, attempt: RunningAttempt, message_id: str, done: Callable[[Message | str], None]) -> None:
        """Have `done` called with the answer to a message, or why none will come, on whatever thread it comes."""
        with self._lock:
            self._asking[message_id] = (attempt, done)
        try:
            came = self.box.read_answer(message_id, self._reporter.now(), attempt.task_id)
        except OSError as error:
            self._complain(error)
            return
        if came is not None:
            self.drop_answer(message_id)
            self._say_read(came.message_id, attempt.task_id)
            done(_message(came))

    def drop_answer(self, message_id: str) -> None:
        """Wait for the answer no more; if it comes, it is mail as any other."""
        with self._lock:
            self._asking.pop(message_id, None)

    def claim(self, attempt: RunningAttempt, claim_id: str, paths: list[str], done: Callable[[Claimed], None]) -> None:
        """Claim paths for the attempt, and have `done` called with the answer, on whatever thread it comes."""
        lease = self._lease_of(attempt)
        if lease.epoch is None:
            done(Claimed(claim_id=claim_id, granted=False, reason="no dispatcher is there that could keep a claim"))
            return
        body = PathsClaim(
            claim_id=claim_id,
            task_id=lease.task_id,
            agent_id=self.agent_id,
            attempt=lease.attempt,
            epoch=lease.epoch,
            paths=paths,
        )
        with self._lock:
            self._claiming[claim_id] = (attempt, done)
            self._owed.owe(_claim(claim_id), Kind.PATHS_CLAIM, body, self._clock())
        self._say_due()

    def drop_claim(self, claim_id: str) -> None:
        """Wait for the answer to a claim no more."""
        with self._lock:
            self._claiming.pop(claim_id, None)
            self._owed.settle(_claim(claim_id))

    def release(self, attempt: RunningAttempt, claim_id: str | None) -> None:
        """Let go of a claim, or of all that the attempt has."""
        lease = self._lease_of(attempt)
        body = PathsRelease(
            task_id=lease.task_id, agent_id=self.agent_id, attempt=lease.attempt, epoch=lease.epoch, claim_id=claim_id
        )
        self._reporter.say(Kind.PATHS_RELEASE, body)

    # time

    def again(self, now: float) -> None:
        """Say all that is owed: a link or a dispatcher is new."""
        with self._lock:
            self._owed.again(now)
            unknown, self._unknown = self._unknown, set()
        if unknown:
            # Another that leads may know them.
            self._look_for_read()

    def tick(self, now: float) -> None:
        """Say again what is due; look what a task's program has read."""
        with self._lock:
            for attempt, _ in [*self._asking.values(), *self._claiming.values()]:
                attempt.last_sign = max(attempt.last_sign, now)
            looks = self._unread and now >= self._look_at
        if looks:
            self._look_for_read()
        self._say_due()

    def wake(self) -> float | None:
        """Return when `tick` is next worth a call; None while nothing is owed and nothing waits."""
        with self._lock:
            times = (self._owed.wake(), self._look_at if self._unread else None)
            return min((when for when in times if when is not None), default=None)

    def _look_for_read(self) -> None:
        """Owe the receipts of what was read by others than this process, or in an earlier life of it."""
        self._look_at = self._clock() + LOOK_EVERY
        try:
            untold, self._unread = self.box.untold(), self.box.has_unread(self._reporter.now())
        except OSError as error:
            self._complain(error)
            return
        with self._lock:
            for message_id, task_id in untold:
                if _read(message_id) not in self._owed and message_id not in self._unknown:
                    body = MessageReceipt(message_id=message_id, agent_id=self.agent_id, task_id=task_id)
                    self._owed.owe(_read(message_id), Kind.MESSAGE_READ, body, self._clock())

    def _say_read(self, message_id: str, task_id: str | None) -> None:
        with self._lock:
            body = MessageReceipt(message_id=message_id, agent_id=self.agent_id, task_id=task_id)
            self._owed.owe(_read(message_id), Kind.MESSAGE_READ, body, self._clock())
        self._say_due()

    def _say_due(self) -> None:
        with self._lock:
            due = self._owed.due(self._clock())
        for kind, body in due:
            self._reporter.say(kind, body)
        if due:
            self._changed()

    def _complain(self, error: Exception) -> None:
        """Say what is wrong with the mailbox, once."""
        if str(error) != self._broken:
            self._broken = str(error)
            self._reporter.note(f"the mailbox cannot be used: {error}", "⚠")


def _sent(message_id: str) -> str:
    return f"sent {message_id}"


def _read(message_id: str) -> str:
    return f"read {message_id}"


def _claim(claim_id: str) -> str:
    return f"claim {claim_id}"


def _message(body: MessageNew) -> Message:
    said = msgspec.structs.asdict(body) | {"sender": body.sender or "", "at": body.at or 0.0}
    return Message(**{name: said[name] for name in Message.__struct_fields__})
