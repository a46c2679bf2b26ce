"""Mail, as commands and tools send it, wait for its answer and read it; and claims on paths."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swarm_tui.cli.caller import Caller
from swarm_tui.cli.common import FAILED, NO_SUCH, Failure
from swarm_tui.cli.follow import Follower
from swarm_tui.client.ids import new_id
from swarm_tui.domain.fleet.mails import REJECTED, SENT, MailView
from swarm_tui.domain.mail.model import PERSON, MailState
from swarm_tui.journal.db import JournalError
from swarm_tui.journal.mailbox import Mailbox
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.mail_bodies import (
    MessageNew,
    MessageReceipt,
    PathsClaim,
    PathsClaimed,
    PathsRefused,
    PathsRelease,
)
from swarm_tui.protocol.topics import Kind

#: Seconds between two times that a word is said, and that a mailbox is looked into.
_AGAIN, _LOOK = 1.0, 0.3
_OVER = (MailState.READ, MailState.ANSWERED, MailState.DEAD)


def send(follower: Follower, message: MessageNew, within: float) -> MailView:
    """Send it until the dispatcher has it, for at most `within` seconds. Raises Failure where it is not taken."""
    again = follower.operator.send(message)

    def settled() -> bool:
        view = follower.fleet.mails.get(message.message_id)
        return view is not None and view.stage != SENT

    end = time.monotonic() + within
    while not follower.wait_for(settled, min(_AGAIN, max(0.0, end - time.monotonic()))):
        if time.monotonic() >= end:
            raise Failure(f"no dispatcher took the message within {within:g} s; `swarm-tui status` shows it")
        again()
    with follower.lock:
        view = follower.fleet.mails[message.message_id]
        if view.stage == REJECTED:
            unknown = "no agent and no role" in view.reason
            raise Failure(f"the message was rejected: {view.reason}", NO_SUCH if unknown else FAILED)
        return view


def wait_read(
    follower: Follower, message_id: str, within: float | None, say: Callable[[str], None], *, answer: bool
) -> MailView:
    """Wait until each receiver has read it, or `answer` until one answers; `say` gets a line for each step.

    Returns it as it is then, or after `within` seconds.
    """
    said: dict[str, str] = {}

    def over() -> bool:
        view = follower.fleet.mails.get(message_id)
        if view is None:
            return False
        for agent_id, receipt in view.receipts.items():
            if receipt.state is not MailState.WAITING and said.get(agent_id) != receipt.state:
                said[agent_id] = receipt.state
                there = receipt.state is MailState.DELIVERED
                whose = f"to {agent_id}: unread until a task of it looks" if there else f"by {agent_id}"
                say(f"  {receipt.state} {whose}")
        if view.answered_by:
            return True
        states = [receipt.state for receipt in view.receipts.values()]
        if answer:
            return bool(states) and all(state is MailState.DEAD for state in states)
        return view.to.startswith(PERSON) or (bool(states) and all(state in _OVER for state in states))

    follower.wait_for(over, within)
    with follower.lock:
        return follower.fleet.mails[message_id]


@contextmanager
def mailbox(who: Caller) -> Iterator[Mailbox]:
    """The mailbox of the agent whose task's program calls. Raises Failure."""
    if who.agent_id is None:
        raise Failure("only an agent has a mailbox: this runs in no task; `swarm-tui messages` lists mail", FAILED)
    box = Mailbox(who.found.state.mailbox(who.agent_id))
    try:
        yield box
    except (sqlite3.Error, JournalError) as error:
        raise Failure(f"the mailbox of {who.agent_id} cannot be read: {error}", FAILED) from None
    finally:
        box.close()


def read_own(follower: Follower, who: Caller, within: float = 0.0) -> list[MessageNew]:
    """Take out what the calling agent has not read, each message once; wait for some for at most `within` seconds.

    Raises Failure.
    """
    with follower.lock:
        agent = follower.fleet.agents.get(who.agent_id or "")
        others = [] if agent is None else [task for task in agent.tasks if task != who.task_id]
    end = time.monotonic() + within
    with mailbox(who) as box:
        while not (found := box.read(time.time(), who.task_id, others)) and time.monotonic() < end:
            time.sleep(_LOOK)
    for message in found:
        _say_read(follower, who, message.message_id)
    return found


def answer_of(follower: Follower, who: Caller, message_id: str, within: float) -> MessageNew | MailView | None:
    """Wait for the answer to a message of the caller's, for at most `within` seconds; None while there is none.

    An agent's comes to its mailbox, and is read by that. Raises Failure once nobody can answer any more.
    """
    end = time.monotonic() + within
    while True:
        with follower.lock:
            view = follower.fleet.mails.get(message_id)
            dead = view is not None and view.state == "dead"
        if who.agent_id is None and view is not None and view.answered_by:
            return view
        if who.agent_id is not None:
            with mailbox(who) as box:
                found = box.read_answer(message_id, time.time(), who.task_id)
            if found is not None:
                _say_read(follower, who, found.message_id)
                return found
        if dead:
            raise Failure("nobody read it in time: there will be no answer", FAILED)
        if time.monotonic() >= end:
            return None
        time.sleep(_LOOK)


def _say_read(follower: Follower, who: Caller, message_id: str) -> None:
    body = MessageReceipt(message_id=message_id, agent_id=who.agent_id or "", task_id=who.task_id)
    follower.operator.act(Kind.MESSAGE_READ, body)


class PathClaims:
    """Claims on paths by the calling agent's task, over one connection."""

    def __init__(self, follower: Follower, who: Caller) -> None:
        self._follower, self._who = follower, who
        self._answers: dict[str, PathsClaimed | PathsRefused] = {}
        follower.operator.on_event(self._hear)

    def _hear(self, event: Event | Rejected) -> None:
        body = event.body if isinstance(event, Event) else None
        if isinstance(body, PathsClaimed | PathsRefused) and body.agent_id == self._who.agent_id:
            with self._follower.lock:
                self._answers[body.claim_id] = body
                self._follower.lock.notify_all()

    def claim(self, paths: list[str], within: float) -> PathsClaimed | PathsRefused | None:
        """Claim them, and wait for the answer; None where none came. Raises Failure outside of a task."""
        who, claim_id = self._who, new_id()
        if who.agent_id is None or who.task_id is None:
            raise Failure("only a task claims paths: this runs in none", FAILED)
        again = self._follower.operator.claim(
            PathsClaim(
                claim_id=claim_id,
                task_id=who.task_id,
                agent_id=who.agent_id,
                attempt=who.attempt,
                epoch=who.epoch,
                paths=paths,
            )
        )
        end = time.monotonic() + within
        while not self._follower.wait_for(lambda: claim_id in self._answers, _AGAIN):
            if time.monotonic() >= end:
                return None
            again()
        return self._answers.pop(claim_id)

    def release(self) -> None:
        """Let go of all that the task holds."""
        who = self._who
        body = PathsRelease(
            task_id=who.task_id or "", agent_id=who.agent_id or "", attempt=who.attempt, epoch=who.epoch
        )
        self._follower.operator.act(Kind.PATHS_RELEASE, body)
