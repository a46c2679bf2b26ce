"""What a CLI tells of a tool call bit by bit, as people are told it."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.conversation.listener import Listener
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.conversation.spec import Acp
from swarm_tui.agent.conversation.tool_calls import MOST_DIFF, take
from swarm_tui.agent.conversation.usage_meter import UsageMeter
from swarm_tui.agent.handlers.models.agent_cli import AgentCli
from swarm_tui.testing.attempt import context, start
from tests.unit.conversation.conftest import AGENT
from tests.unit.conversation.test_contract import lives
from tests.wait import until


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


def edit(old: str, new: str) -> dict[str, Any]:
    diff = {"type": "diff", "path": "a", "oldText": old, "newText": new}
    return {"toolCallId": "1", "kind": "edit", "content": [diff]}


def test_an_ask_with_a_change_of_fifty_thousand_lines_shows_so_much_and_says_how_much_more(tmp_path: Path) -> None:
    shown = take(None, edit("", "".join(f"{n}\n" for n in range(50_000)))).diff(tmp_path)
    assert len(shown) <= MOST_DIFF + 100
    lines = shown.splitlines()
    assert lines[-1] == f"(… {50_003 - (len(lines) - 1)} more lines of 1 files)"


def test_an_ask_with_a_binary_says_that_it_is_one(tmp_path: Path) -> None:
    assert take(None, edit("a\0b", "c")).diff(tmp_path) == "binary file a changes\n"


def test_what_a_cli_forks_away_from_itself_ends_with_its_task(tmp_path: Path) -> None:
    """In a session of its own, its parent gone, and without the mark of its task in its environment."""
    home = tmp_path / "home"
    home.mkdir()
    pid = tmp_path / "pid"
    daemon = f"(setsid env -i bash -c 'echo $$ > {pid}; exec tail -f /dev/null' >/dev/null 2>&1 &)"
    acp = {
        "argv": [sys.executable, "-I", "-S", str(AGENT), "claude"], "session_mode": "default",
        "env": {"ACP_AGENT_HOME": str(home)},
    }  # fmt: skip
    options = {"cli": "mine", "clis": {"mine": {"acp": acp}}, "mode": "edit", "allow": ["Bash"]}

    async def ended() -> Any:
        attempt = start(
            AgentCli, {"prompt": f"[[run {daemon}; sleep 0.3]] [[say ok]]"}, options=options, workdir=tmp_path
        )
        return await attempt.ended()

    done = asyncio.run(ended())
    assert pid.exists(), done
    until(lambda: not lives(int(pid.read_text())), 5, "the daemon to be gone")
