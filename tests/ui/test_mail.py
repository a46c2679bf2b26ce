"""`M` writes to an agent; its page shows the talk with receipts, now and in the past; the stream tells it."""

import pytest

from swarm_tui.client.past import Moment
from swarm_tui.domain.fleet.snapshot import restored, snapshot
from swarm_tui.protocol.bodies import Reply
from swarm_tui.protocol.mail_bodies import (
    MessageAccepted,
    MessageAnswered,
    MessageDead,
    MessageNew,
    MessageReceipt,
    MessageRejected,
)
from swarm_tui.protocol.topics import Kind
from tests.ui.harness import UiDriver, open_ui

AGENT, TM = "docs-01", "task-manager-01"


def sent(ui: UiDriver) -> list[MessageNew]:
    return [body for kind, body, _ in ui.source.acts if kind is Kind.MESSAGE_NEW and isinstance(body, MessageNew)]


async def write(ui: UiDriver, text: str) -> MessageNew:
    ui.app.pages.open_agent(AGENT)
    await ui.settle()
    await ui.press("M")
    await ui.press(*(("space" if c == " " else "question_mark" if c == "?" else c) for c in text), "enter")
    await ui.settle()
    return sent(ui)[-1]


def told(ui: UiDriver, body: MessageNew, upto: str) -> None:
    """The swarm says of it what it would, as far as `upto`."""
    name, person = body.message_id, "operator:ada@devbox"
    ui.source.say(person, Kind.MESSAGE_NEW, body)
    accepted = MessageAccepted(message_id=name, sender=person, to=body.to, receivers=[body.to])
    answered = MessageAnswered(message_id=name, answer_id="n", sender=AGENT, text="yes!")
    steps = [
        ("accepted", TM, Kind.MESSAGE_ACCEPTED, accepted),
        ("delivered", AGENT, Kind.MESSAGE_DELIVERED, MessageReceipt(message_id=name, agent_id=AGENT)),
        ("read", AGENT, Kind.MESSAGE_READ, MessageReceipt(message_id=name, agent_id=AGENT)),
        ("answered", TM, Kind.MESSAGE_ANSWERED, answered),
    ]
    for step, sender, kind, said in steps:
        ui.source.say(sender, kind, said)
        if step == upto:
            return


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_the_page_shows_how_far_each_message_is(size: tuple[int, int]) -> None:
    async with open_ui("calm", size) as ui:
        body = await write(ui, "look at a")
        assert (body.to, body.text, body.expects_answer) == (AGENT, "look at a", False)
        for state in ("accepted", "delivered", "read"):
            told(ui, body, state)
            await ui.settle()
            await ui.press("G")
            assert ui.has(state, "from ada@devbox", "look at a")
        await ui.pass_(1)
        assert ui.has(f"{AGENT} has read: look at a")


@pytest.mark.asyncio
async def test_a_question_is_answered_in_a_line() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        body = await write(ui, "?ready")
        assert body.expects_answer
        told(ui, body, "answered")
        await ui.settle()
        await ui.pass_(1)
        assert ui.has(f"{AGENT} answers: yes!")


@pytest.mark.asyncio
async def test_what_nobody_accepts_is_said_again_and_then_told() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        body = await write(ui, "hello")
        await ui.pass_(3)
        assert [one.message_id for one in sent(ui)] == [body.message_id] * 2
        await ui.pass_(61)
        assert ui.has("nobody accepted the message")


@pytest.mark.asyncio
async def test_a_refusal_and_a_dead_letter_say_why() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        body = await write(ui, "hello")
        ui.source.say(TM, Kind.MESSAGE_REJECTED, MessageRejected(message_id=body.message_id, reason="it is full"))
        await ui.settle()
        await ui.pass_(1)
        assert ui.has("was rejected: it is full")
        other = await write(ui, "again")
        told(ui, other, "accepted")
        dead = MessageDead(message_id=other.message_id, agent_id=AGENT, reason="it was not read in time")
        ui.source.say(TM, Kind.MESSAGE_DEAD, dead)
        await ui.settle()
        await ui.pass_(1)
        assert ui.has("did not read the message in time")


@pytest.mark.asyncio
async def test_nothing_typed_is_nothing_sent() -> None:
    async with open_ui("calm", (100, 30)) as ui:
        ui.app.pages.open_agent(AGENT)
        await ui.settle()
        await ui.press("M", "question_mark", "enter")
        assert not sent(ui)


@pytest.mark.asyncio
async def test_the_stream_tells_mail_in_words() -> None:
    async with open_ui("calm", (160, 40)) as ui:
        body = MessageNew(message_id="m1", to=AGENT, text="the port is 8080", expects_answer=True)
        told(ui, body, "answered")
        await ui.settle()
        assert ui.has("messages/new", f"to {AGENT} (wants an answer): the po")
        assert ui.has("messages/read", f"m1 by {AGENT}")
        assert ui.has("messages/answe", f"m1 by {AGENT}: yes!")


@pytest.mark.asyncio
async def test_the_page_asks_the_dispatcher_for_what_was_before() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        row = {
            "message_id": "old", "from": "builder", "to": AGENT, "text": "from before", "accepted_at": ui.clock() - 99,
            "receipts": [{"agent_id": AGENT, "state": "read", "at": ui.clock() - 90}],
        }  # fmt: skip
        ui.source.replies["messages"] = Reply(query="messages", rows=[row])
        ui.app.pages.open_agent(AGENT)
        await ui.settle()
        await ui.settle()
        assert ui.has("mail 1")
        assert ui.has("read", "from builder", "from before")


@pytest.mark.asyncio
async def test_only_the_newest_show_and_how_many_there_are() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        for n in range(12):
            ui.source.say("a", Kind.MESSAGE_NEW, MessageNew(message_id=f"m{n}", to=AGENT, text=f"number {n}."))
        ui.app.pages.open_agent(AGENT)
        await ui.settle()
        assert ui.has("mail 12")
        assert ui.has("4 earlier", f"swarm-tui messages --agent {AGENT}")
        assert ui.has("number 4.")
        assert not ui.has("number 3.")


@pytest.mark.asyncio
async def test_a_tasks_page_shows_the_talk_about_it() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        task_id = next(iter(ui.app.model.fleet.tasks))
        told(ui, MessageNew(message_id="m1", to=AGENT, text="the port is 8080", task_id=task_id), "read")
        ui.app.pages.open_task(task_id)
        await ui.settle()
        assert ui.has("mail 1 about it")
        assert ui.has("read", f"ada@devbox to {AGENT}", "the port is 8080")


@pytest.mark.asyncio
async def test_the_past_shows_the_talk_as_it_was() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        body = MessageNew(message_id="m1", to=AGENT, text="the port is 8080")
        told(ui, body, "delivered")
        await ui.settle()
        then = restored(snapshot(ui.app.model.live), kept=100)
        told(ui, body, "read")
        await ui.settle()
        ui.app.pages.open_agent(AGENT)
        await ui.settle()
        assert ui.has("read", "the port is 8080")
        ui.app.model.look_back(Moment(at=ui.clock(), fleet=then, messages=[]))
        ui.app.pages.open_agent(AGENT)
        await ui.settle()
        assert ui.has("delivered", "the port is 8080")
        await ui.press("M")
        assert ui.has("write is for what is now")
