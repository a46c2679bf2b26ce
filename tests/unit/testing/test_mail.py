"""The test kit has mail: a handler alone gets what a test gives it, and in a swarm in memory agents really write."""

import asyncio
from typing import Any, ClassVar

from msgspec import Struct

from swarm_tui import testing
from swarm_tui.agent.handlers.base import Context
from swarm_tui.agent.handlers.mail import Message


class Payload(Struct):
    """Payload of these handlers."""

    to: str = ""
    messages: int = 1


class Asks:
    """Asks an agent, and keeps a folder for itself meanwhile."""

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> dict[str, Any]:
        claimed = await context.claim(["src/**"])
        answer = await context.ask_agent(context.payload["to"], "ready?", within=10.0)
        return {"answer": answer.text, "granted": claimed.granted}


class Answers:
    """Answers as many messages as it is told."""

    Payload: ClassVar[type[Struct]] = Payload

    async def run(self, context: Context) -> dict[str, Any]:
        read: list[str] = []
        asked: list[Message] = []
        while len(read) < context.payload["messages"]:
            for message in context.messages():
                read.append(message.text)
                asked += [message] if message.expects_answer else []
            await asyncio.sleep(0.01)
        refused = await context.claim(["src/a.py"])
        for message in asked:
            context.reply(message, f"yes, {message.sender}")
        return {"read": read, "holder": refused.holder}


def test_a_handler_alone_gets_what_the_test_gives_it() -> None:
    waiting = [Message(message_id="m1", sender="ann", text="hello", expects_answer=True)]
    done = asyncio.run(testing.run(Answers, {"messages": 1}, messages=waiting))
    assert done.error is None
    assert (done.result["read"], done.sent, done.claimed) == (["hello"], [("ann", "yes, ann")], ["src/a.py"])
    asked = asyncio.run(testing.run(Asks, {"to": "bob"}, answers={"bob": "ready"}))
    assert asked.result == {"answer": "ready", "granted": True}
    assert asyncio.run(testing.run(Asks, {"to": "nobody"})).code == "no-answer"


def test_agents_of_a_swarm_in_memory_write_to_one_another() -> None:
    with testing.Swarm({"asks": Asks, "answers": Answers}, workers=2) as swarm:
        asking = swarm.publish("asks", {"to": "worker-02"}, assigned_to="worker-01")
        answered = swarm.run("answers", {"messages": 1}, assigned_to="worker-02")
        assert answered.result == {"read": ["ready?"], "holder": "worker-01"}
        assert swarm.wait(asking).result == {"answer": "yes, worker-01", "granted": True}
