"""A person at the agent's terminal speaks in its conversation: at once where the CLI has that, else afterwards."""

import json
import threading

import pytest

from swarm_tui.agent.conversation import person
from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.domain.asks.model import AskAnswer
from tests.unit.conversation.conftest import NAMES, Person, Talk

every_cli = pytest.mark.parametrize("name", NAMES)


def prompts(talk: Talk, session: str | None) -> list[str]:
    found: list[str] = json.loads((talk.home / f"{session}.json").read_text())["prompts"]
    return found


@every_cli
def test_a_line_is_said_in_the_turn_or_in_the_next(talk: Talk, name: str) -> None:
    async def says(who: Person) -> None:
        await who.sees("Bash `true`")
        who.types("[[write b.txt there]]")
        await who.sees("» [[write b.txt there]]")
        steers = name in ("claude", "codex")
        await who.sees("it has that, in this turn" if steers else "said when this turn has ended")

    told = talk(name, "[[run true]] [[slow 0.5]] [[say Done.]]", allow=["Bash"], person=says)
    assert (talk.folder / "b.txt").exists()
    assert told.stop_reason == "end_turn"
    assert prompts(talk, told.session)[1] == "[[write b.txt there]]"
    assert told.usage.tokens_in >= 100


@every_cli
def test_an_interrupt_ends_the_turn_and_the_next_line_goes_on_in_the_same_session(talk: Talk, name: str) -> None:
    async def interrupts(who: Person) -> None:
        await who.sees("Bash `true`")
        who.interrupts()
        await who.sees("⏸ interrupted")
        who.types("rather [[write b.txt there]] [[say All right.]]")

    told = talk(name, "[[run true]] [[slow 30]] [[write a.txt no]]", allow=["Bash"], person=interrupts)
    assert told.text == "All right."
    assert (talk.folder / "b.txt").exists()
    assert not (talk.folder / "a.txt").exists()
    assert len(prompts(talk, told.session)) == 2


@every_cli
def test_an_interrupt_while_an_ask_waits_allows_nothing(talk: Talk, name: str) -> None:
    import asyncio

    asked = threading.Event()

    async def never(question: object) -> AskAnswer:
        asked.set()
        await asyncio.sleep(60)
        return AskAnswer(outcome="allow")

    async def interrupts(who: Person) -> None:
        assert talk.context is not None
        talk.context._ask = never
        await who.sees("looks")
        assert await asyncio.to_thread(asked.wait, 10)
        who.interrupts()
        await who.sees("⏸ interrupted")
        who.types("[[say Never mind.]]")

    told = talk(name, "[[say looks\n]] [[slow 0.2]] [[run touch c.txt]]", person=interrupts)
    assert told.text == "Never mind."
    assert not (talk.folder / "c.txt").exists()


def test_an_interrupt_after_which_nothing_is_said_ends_the_task(talk: Talk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(person, "NEXT_WITHIN", 0.2)

    async def interrupts(who: Person) -> None:
        await who.sees("Bash `true`")
        who.interrupts()

    with pytest.raises(HandlerError, match="a person interrupted it") as caught:
        talk("claude", "[[run true]] [[slow 30]]", allow=["Bash"], person=interrupts)
    assert (caught.value.code, caught.value.retryable) == ("stopped", False)
    assert caught.value.result is not None
    assert caught.value.result["session"]
