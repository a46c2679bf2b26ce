"""An agent's mail: kept before it is confirmed, read once over restarts, sent until it is accepted."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarm_tui.agent.handlers.mail import Claimed, MailError, Message
from swarm_tui.agent.mail_desk import LOOK_EVERY, MailDesk
from swarm_tui.domain.mail.model import MAX_TEXT
from swarm_tui.domain.worker.actions import HeldLease
from swarm_tui.domain.worker.unacked import RESEND_FIRST
from swarm_tui.journal.mailbox import KEPT, Mailbox
from swarm_tui.protocol.bodies import Body, Inbox, Task
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.mail_bodies import MessageNew, PathsClaim, PathsRelease
from swarm_tui.protocol.topics import Kind


class Agent:
    """One life of an agent after another, over one mailbox."""

    def __init__(self, path: Path, name: str = "me") -> None:
        self.path, self.name = path, name
        self.now, self.wall = 100.0, 1000.0
        self.said: list[tuple[Kind, Any]] = []
        self.notes: list[str] = []
        self.epoch: int | None = 1
        self.live()

    def live(self) -> None:
        """Begin anew, as after a SIGKILL."""
        redact = SimpleNamespace(text=lambda text: text.replace("secret", "***"))
        reporter = SimpleNamespace(
            now=lambda: self.wall,
            say=lambda kind, body, *more: self.said.append((kind, body)),
            note=lambda line, mark="·": self.notes.append(line),
            redact=redact,
        )
        lease = HeldLease(task=Task(task_id="t1", type="noop"), attempt=2, epoch=self.epoch)
        self.attempt = cast("Any", SimpleNamespace(task_id="t1", lease=lease, last_sign=0.0))
        self.desk = MailDesk(
            cast("Any", reporter), self.name, self.path, lambda attempt: lease, lambda: self.now, lambda: None
        )
        self.desk.open()

    def hear(self, body: Inbox) -> None:
        event = Event(
            topic="i", kind=Kind.INBOX, key="me", id="e", at=self.wall, received=self.wall, sender="tm", role=None,
            body=body, payload={},
        )  # fmt: skip
        self.desk.heard(event)

    def mail(self, message_id: str, **more: Any) -> None:
        body = MessageNew(message_id=message_id, sender="other", to="me", text=f"text of {message_id}", at=9.0, **more)
        self.hear(Inbox(command="message", message=body))

    def receipt(self, message_id: str, state: str, reason: str = "") -> None:
        self.hear(Inbox(command="receipt", answer={"message_id": message_id, "state": state, "reason": reason}))

    def read(self, *running: str) -> list[str]:
        return [message.message_id for message in self.desk.read("t1", running)]

    def take_said(self, kind: Kind) -> list[str]:
        said, self.said = [body for of, body in self.said if of is kind], []
        return [body.message_id for body in said]

    def tick(self, seconds: float) -> None:
        self.now += seconds
        self.desk.tick(self.now)


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    return Agent(tmp_path / "mail" / "me.db")


def test_a_message_is_kept_before_it_is_confirmed_and_read_once_over_restarts(agent: Agent) -> None:
    agent.mail("m1")
    assert agent.take_said(Kind.MESSAGE_DELIVERED) == ["m1"]
    agent.live()
    agent.mail("m1")
    assert agent.take_said(Kind.MESSAGE_DELIVERED) == ["m1"]
    assert agent.notes == ["mail from other: text of m1"], "each is shown once, however often it comes"
    assert agent.desk.read("t1", []) == [
        Message(message_id="m1", sender="other", to="me", text="text of m1", at=9.0),
    ]
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]
    agent.live()
    assert agent.read() == []
    agent.said.clear()
    agent.mail("m1")
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]
    assert agent.read() == []


def test_the_receipt_of_a_reading_is_said_until_it_is_known(agent: Agent) -> None:
    agent.mail("m1")
    agent.read()
    agent.said.clear()
    agent.tick(RESEND_FIRST)
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]
    agent.live()
    agent.tick(0.0)
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]
    agent.receipt("m1", "read")
    agent.tick(1000.0)
    agent.live()
    agent.tick(1000.0)
    assert agent.said == []
    assert agent.desk.wake() is None


def test_a_reading_that_the_dispatcher_does_not_know_is_said_once_more_to_the_next_alone(agent: Agent) -> None:
    agent.mail("m1")
    assert agent.read() == ["m1"]
    agent.take_said(Kind.MESSAGE_READ)
    agent.receipt("m1", "unknown")
    agent.mail("m2")
    for _ in range(5):
        agent.tick(max(LOOK_EVERY, 60.0))
    assert agent.take_said(Kind.MESSAGE_READ) == []
    agent.desk.again(agent.now)
    agent.tick(0.0)
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]
    agent.receipt("m1", "unknown")
    agent.live()
    agent.tick(0.0)
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]
    agent.receipt("m1", "read")
    agent.live()
    agent.tick(60.0)
    assert agent.take_said(Kind.MESSAGE_READ) == []


def test_what_is_unknown_of_a_reading_that_was_not_said_is_not_kept(agent: Agent) -> None:
    agent.receipt("m1", "unknown")
    agent.mail("m1")
    agent.read()
    agent.take_said(Kind.MESSAGE_READ)
    agent.tick(60.0)
    agent.live()
    agent.receipt("m1", "unknown")
    agent.tick(0.0)
    agent.said.clear()
    for number in range(100):
        agent.receipt(f"x{number}", "unknown")
    assert len(agent.desk._unknown) == 1


def test_what_a_program_of_its_task_reads_is_told_by_the_agent(agent: Agent) -> None:
    agent.mail("m1")
    agent.said.clear()
    beside = Mailbox(agent.path)
    assert [one.message_id for one in beside.read(agent.wall, "t1")] == ["m1"]
    beside.close()
    assert agent.read() == []
    agent.live()
    agent.tick(LOOK_EVERY)
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]


def test_a_running_agent_looks_for_what_its_programs_have_read(agent: Agent) -> None:
    agent.mail("m1")
    agent.said.clear()
    beside = Mailbox(agent.path)
    beside.read(agent.wall, "t1")
    beside.close()
    agent.tick(LOOK_EVERY)
    agent.tick(0.0)
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]


def test_what_another_task_s_program_reads_is_told_also_where_one_looked_in_vain_before(agent: Agent) -> None:
    agent.mail("m1", task_id="t2")
    agent.tick(0.0)
    assert agent.read("t1", "t2") == []
    beside = Mailbox(agent.path)
    beside.read(agent.wall, "t2")
    beside.close()
    agent.said.clear()
    agent.tick(LOOK_EVERY)
    agent.tick(0.0)
    assert agent.take_said(Kind.MESSAGE_READ) == ["m1"]
    assert agent.desk.wake() is not None
    agent.receipt("m1", "read")
    agent.tick(LOOK_EVERY)
    assert agent.desk.wake() is None


def test_what_is_about_another_task_of_the_agent_is_left_to_that(agent: Agent) -> None:
    agent.mail("m1", task_id="t2")
    agent.mail("m2", task_id="t1")
    agent.mail("m3", task_id="elsewhere")
    assert agent.read("t1", "t2") == ["m2", "m3"]
    assert agent.read("t1") == ["m1"]


def test_what_expired_is_not_read(agent: Agent) -> None:
    agent.mail("m1", expires_at=agent.wall + 5)
    agent.wall += 6
    agent.tick(LOOK_EVERY)
    assert agent.desk.wake() is None, "nothing is looked for any more"
    assert agent.read() == []


def test_what_is_sent_is_said_until_it_is_accepted_over_restarts(agent: Agent) -> None:
    agent.desk.send(MessageNew(message_id="s1", to="other", text="a secret"))
    assert [(body.sender, body.text) for _, body in agent.said] == [("me", "a ***")]
    agent.live()
    agent.said.clear()
    agent.tick(0.0)
    assert agent.take_said(Kind.MESSAGE_NEW) == ["s1"]
    agent.desk.again(agent.now)
    agent.tick(0.0)
    assert agent.take_said(Kind.MESSAGE_NEW) == ["s1"]
    agent.receipt("s1", "accepted")
    agent.tick(1000.0)
    agent.live()
    agent.tick(0.0)
    assert agent.said == []


def test_a_refusal_ends_it_and_is_shown(agent: Agent) -> None:
    agent.desk.send(MessageNew(message_id="s1", to="nobody", text="x"))
    agent.receipt("s1", "rejected", "there is no agent")
    agent.said.clear()
    agent.tick(1000.0)
    assert agent.said == []
    assert "message s1: there is no agent" in agent.notes


def test_too_long_a_text_and_too_many_are_refused(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MailError, match="at most 16,384 bytes"):
        agent.desk.send(MessageNew(message_id="s", to="other", text="x" * (MAX_TEXT + 1)))
    monkeypatch.setattr("swarm_tui.agent.mail_desk.MAX_UNSENT", 1)
    agent.desk.send(MessageNew(message_id="s1", to="other", text="x"))
    with pytest.raises(MailError, match="wait for a dispatcher"):
        agent.desk.send(MessageNew(message_id="s2", to="other", text="x"))


def test_a_mailbox_that_cannot_be_written_confirms_nothing_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file, where the folder should be")
    agent = Agent(tmp_path / "mail" / "me.db")
    agent.mail("m1")
    agent.mail("m1")
    assert agent.said == []
    assert len([note for note in agent.notes if "mailbox" in note]) == 1
    assert agent.read() == []
    with pytest.raises(MailError, match="cannot be written"):
        agent.desk.send(MessageNew(message_id="s1", to="other", text="x"))


def test_only_what_cannot_come_again_is_forgotten(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm_tui.journal.mailbox.REMEMBERED", 0)
    agent.mail("m1")
    agent.read()
    agent.receipt("m1", "read")
    agent.wall += KEPT - 1
    agent.live()
    agent.mail("m1")
    assert agent.read() == []
    agent.wall += 2
    agent.live()
    assert agent.desk.box.take(MessageNew(message_id="m1", text="x"), agent.wall) is None


def test_a_reading_that_nobody_ever_confirmed_is_forgotten_too(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm_tui.journal.mailbox.REMEMBERED", 0)
    agent.mail("m1")
    agent.read()
    agent.wall += KEPT + 1
    agent.live()
    agent.said.clear()
    agent.tick(1000.0)
    assert agent.said == []


def in_loop(work: Callable[[], Any]) -> Any:
    return asyncio.run(work())


def test_who_asks_gets_the_answer_and_nobody_else(agent: Agent) -> None:
    async def ask() -> Message:
        mail = agent.desk.of(agent.attempt, lambda: ["t1"])
        asking = asyncio.ensure_future(mail.ask("other", "ready?", 5.0))
        await asyncio.sleep(0)
        (asked,) = agent.take_said(Kind.MESSAGE_NEW)
        agent.mail("answer", reply_to=asked)
        return await asking

    assert in_loop(ask).message_id == "answer"
    assert agent.take_said(Kind.MESSAGE_READ) == ["answer"]
    assert agent.read() == []


def test_an_answer_that_came_before_is_found(agent: Agent) -> None:
    async def ask() -> Message:
        mail = agent.desk.of(agent.attempt, lambda: ["t1"])
        (known,) = [mail._id("other", "ready?", None, "me")]
        mail._said.clear()
        agent.mail("answer", reply_to=known)
        return await mail.ask("other", "ready?", 5.0)

    assert in_loop(ask).message_id == "answer"
    assert agent.read() == []


def test_another_attempt_gets_the_answer_that_one_before_it_read(agent: Agent) -> None:
    async def ask() -> Message:
        mail = agent.desk.of(agent.attempt, lambda: ["t1"])
        asking = asyncio.ensure_future(mail.ask("other", "ready?", 5.0))
        await asyncio.sleep(0)
        (asked,) = agent.take_said(Kind.MESSAGE_NEW)
        if not came:
            agent.mail("answer", reply_to=asked)
        return await asking

    came = False
    assert in_loop(ask).message_id == "answer"
    agent.live()
    agent.said.clear()
    came = True
    assert in_loop(ask).message_id == "answer"
    agent.attempt.task_id = "t2"
    with pytest.raises(MailError, match="did not answer"):
        asyncio.run(agent.desk.of(agent.attempt, lambda: ["t2"]).ask("other", "ready?", 0.05))


def test_the_same_question_of_another_agent_is_another_message(agent: Agent, tmp_path: Path) -> None:
    """Its answer comes to whoever asked: that one's mailbox is on another's disk."""
    other = Agent(tmp_path / "mail" / "other.db", "other-me")
    asked = []
    for one in (agent, agent, other):
        one.live()
        with pytest.raises(MailError, match="did not answer"):
            asyncio.run(one.desk.of(one.attempt, lambda: ["t1"]).ask("b", "ready?", 0.0))
        asked.append(one.said[-1][1].message_id)
    assert asked[0] == asked[1] != asked[2]


@pytest.mark.parametrize("state", ["rejected", "dead", "silence"])
def test_who_asks_in_vain_is_told_why(agent: Agent, state: str) -> None:
    async def ask() -> None:
        mail = agent.desk.of(agent.attempt, lambda: ["t1"])
        asking = asyncio.ensure_future(mail.ask("other", "ready?", 0.05 if state == "silence" else 5.0))
        await asyncio.sleep(0)
        (asked,) = agent.take_said(Kind.MESSAGE_NEW)
        if state != "silence":
            agent.receipt(asked, state, "why not")
        await asking

    with pytest.raises(MailError, match="did not answer" if state == "silence" else "why not"):
        in_loop(ask)


def test_another_attempt_says_the_same_under_the_same_ids(agent: Agent) -> None:
    def ids() -> list[str]:
        mail = agent.desk.of(agent.attempt, lambda: ["t1"])
        return [
            mail.send(to, text, reply_to=None, expects_answer=False, message_id=None)
            for to, text in (("b", "x"), ("b", "x"), ("c", "x"))
        ]

    first = ids()
    assert len(set(first)) == 3
    assert ids() == first


def claim(agent: Agent, answer: dict[str, Any] | None) -> Claimed:
    async def ask() -> Claimed:
        mail = agent.desk.of(agent.attempt, lambda: ["t1"])
        claiming = asyncio.ensure_future(mail.claim(["src"], 5.0 if answer else 0.05))
        await asyncio.sleep(0)
        ((_, body),) = agent.said
        assert isinstance(body, PathsClaim)
        assert (body.task_id, body.attempt, body.epoch, body.paths) == ("t1", 2, 1, ["src"])
        if answer is not None:
            agent.hear(Inbox(command="paths", answer={"claim_id": body.claim_id, **answer}))
        return await claiming

    done: Claimed = in_loop(ask)
    return done


def test_a_claim_is_answered(agent: Agent) -> None:
    assert claim(agent, {"granted": True, "paths": ["src"]}).granted
    agent.said.clear()
    refused = claim(agent, {"granted": False, "holder": "b", "holder_task": "t9", "since": 5.0, "paths": ["src/**"]})
    assert (refused.granted, refused.holder, refused.since) == (False, "b", 5.0)
    agent.said.clear()
    assert "nobody answered" in claim(agent, None).reason
    agent.tick(100.0)
    assert len(agent.said) == 1, "given up, it is not said again"


def test_without_a_dispatcher_nothing_is_claimed(agent: Agent) -> None:
    agent.epoch = None
    agent.live()
    told: list[Claimed] = []
    agent.desk.claim(agent.attempt, "c", ["src"], told.append)
    assert (told[0].granted, agent.said) == (False, [])


def test_a_release_names_the_attempt(agent: Agent) -> None:
    agent.desk.release(agent.attempt, "c1")
    body: Body = agent.said[0][1]
    assert body == PathsRelease(task_id="t1", agent_id="me", attempt=2, epoch=1, claim_id="c1")
