"""Mail reaches an AI agent with its prompt, or at its next turn, each message once."""

import json
from typing import Any

import pytest

from swarm_tui.agent.conversation.mail import MOST_TURNS
from swarm_tui.agent.handlers.mail import Message
from tests.unit.conversation.conftest import NAMES, Talk

SERVER = ({"name": "swarm", "command": "true", "args": [], "env": []},)


def message(message_id: str, text: str, **more: Any) -> Message:
    return Message(message_id=message_id, sender="builder", text=text, **more)


def prompts(talk: Talk, session: str | None) -> list[str]:
    """What was said to the CLI, turn by turn."""
    told: list[str] = json.loads((talk.home / f"{session}.json").read_text())["prompts"]
    return told


@pytest.mark.parametrize("name", NAMES)
def test_what_waits_is_said_with_the_prompt_and_what_comes_at_the_next_turn(talk: Talk, name: str) -> None:
    mail = [[message("m1", "the port is 8080")], [message("m2", "[[say It is 9090.]]", task_id="t9")], []]
    told = talk(name, "[[say It is 8080.]]", mail=mail)
    first, second = prompts(talk, told.session)
    assert first.startswith("[[say It is 8080.]]")
    assert "From builder (message m1):\nthe port is 8080" in first
    assert "While you were at work" in second
    assert "From builder (message m2, about the task t9)" in second
    assert (told.text, told.stop_reason, told.turns) == ("It is 9090.", "end_turn", 2)
    assert "reads mail of builder" in talk.log


def test_without_mail_nothing_is_said_of_it(talk: Talk) -> None:
    told = talk("claude", "[[say Done.]]")
    assert prompts(talk, told.session) == ["[[say Done.]]"]


def test_who_has_no_tools_answers_with_what_it_says(talk: Talk) -> None:
    asks = message("m1", "which port?", expects_answer=True)
    talk("claude", "[[say 8080]]", mail=[[asks, message("m2", "no answer wanted")]])
    assert talk.context is not None
    assert talk.context.done.sent == [("builder", "8080")]


def test_who_has_tools_is_told_how_to_answer(talk: Talk) -> None:
    told = talk("claude", "[[say 8080]]", mail=[[message("m1", "which?", expects_answer=True)]], mcp=SERVER)
    assert talk.context is not None
    assert talk.context.done.sent == []
    assert "send_message" in prompts(talk, told.session)[0]


def test_a_turn_for_mail_that_fails_takes_nothing_back(talk: Talk) -> None:
    told = talk("claude", "[[write a.txt hi]] [[say Done.]]", mail=[[], [message("m1", "[[status 529]]")]])
    assert told.text == "Done."
    assert any("could not read its mail" in line for line in talk.log)


def test_mail_without_end_does_not_keep_the_task_from_its(talk: Talk) -> None:
    mail = [[message(f"m{n}", f"[[say {n}]]")] for n in range(20)]
    told = talk("claude", "[[say first]]", mail=mail)
    assert told.text == str(MOST_TURNS)
