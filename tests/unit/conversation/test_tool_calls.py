"""What a CLI tells of a tool call bit by bit, as people are told it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.conversation.listener import Listener
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.conversation.spec import Acp
from swarm_tui.agent.conversation.tool_calls import take
from swarm_tui.agent.conversation.usage_meter import UsageMeter
from swarm_tui.testing.attempt import context


def content(text: str) -> list[dict[str, Any]]:
    return [{"type": "content", "content": {"type": "text", "text": text}}]


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("plain", "plain"),
        ("```console\none\ntwo\n```", "one\ntwo"),
        ("```\n```", ""),
        ("see\n```\ncode\n```\nand more", "see\n```\ncode\n```\nand more"),
    ],
)
def test_what_a_tool_printed_is_shown_without_the_marks_of_a_code_block(said: str, shown: str) -> None:
    assert take(None, {"toolCallId": "1", "content": content(said)}).output == shown


def test_a_calls_description_is_not_what_it_printed() -> None:
    said = {"toolCallId": "1", "rawInput": {"command": "true", "description": "does nothing"}}
    call = take(None, {**said, "content": content("does nothing")})
    assert take(call, {"toolCallId": "1", "status": "completed"}).output == ""


def test_a_task_says_what_is_done_once_it_is_told_and_its_progress_never_falls(tmp_path: Path) -> None:
    made = context({}, workdir=tmp_path)

    async def permit(call: Any) -> str:
        return ""

    heard = Listener(made, Settings(), tmp_path, permit, UsageMeter(Acp(argv=["x"]), None, {}))

    async def said(**update: Any) -> None:
        await heard.serve("session/update", {"update": {"toolCallId": "1", **update}}, True)

    async def all_of_it() -> None:
        await said(sessionUpdate="tool_call", title="Terminal", kind="execute")
        await said(sessionUpdate="tool_call_update", rawInput={"command": "pytest -q"})
        await said(sessionUpdate="tool_call_update", status="in_progress")

    asyncio.run(all_of_it())
    assert [words for _, words in made.done.progress] == ["Terminal", "pytest -q"]
    assert min(percent for percent, _ in made.done.progress) >= 5.0, "where what prepared it has come"
