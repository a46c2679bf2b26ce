"""`swarm-tui mcp` as a client of the official SDK sees it: tools, refusals in sentences, waits that end in time."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

pytest.importorskip("mcp", reason="the extra mcp is not installed here")

from mcp import Client
from mcp.server.mcpserver.exceptions import ToolError

from swarm_tui.cli import mcp_server
from swarm_tui.cli.caller import caller
from swarm_tui.cli.common import Target, keys_of
from swarm_tui.cli.mcp_server import Tools, make_server
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import state_dir
from swarm_tui.identity.keyring import GUEST
from swarm_tui.identity.store import make_secret
from swarm_tui.processes.marks import VARIABLE, mark
from swarm_tui.protocol.bodies import Task
from swarm_tui.protocol.mail_bodies import MessageNew
from swarm_tui.protocol.rows import MailRow, RunRow, TaskRow

#: What an agent may never be given.
ORDERS = ("approve", "deny", "cancel", "retry", "halt", "scale", "stop")


class FakeTools:
    """A swarm of one task, which ends at the third look."""

    def __init__(self) -> None:
        self.looks = 0
        self.published: list[Task] = []
        self.sent: list[MessageNew] = []

    def task(self, task_id: str) -> TaskRow:
        if task_id != "t":
            raise ToolError(f"no task `{task_id}`; list_tasks shows those known")
        self.looks += 1
        done = self.looks > 2
        return TaskRow(task_id="t", type="noop", state="complete" if done else "running", result={"n": 1})

    def publish(self, task: Task) -> dict[str, Any]:
        self.published.append(task)
        return {"task_id": "t", "state": "queued"}

    def message(self, to: str, text: str, **more: Any) -> MessageNew:
        return MessageNew(message_id="m", to=to, text=text, **more)

    def send(self, message: MessageNew) -> dict[str, Any]:
        self.sent.append(message)
        return {"message_id": message.message_id, "state": "accepted"}

    def answer(self, message_id: str) -> dict[str, Any]:
        self.looks += 1
        done = self.looks > 2
        return {"message_id": message_id, "state": "answered" if done else "waiting", "text": "yes" if done else None}

    def read(self) -> list[dict[str, Any]]:
        self.looks += 1
        return [{"message_id": "m", "text": "hello"}] if self.looks > 2 else []

    def run(self, run_id: str) -> RunRow:
        return RunRow(run_id=run_id, workflow="w", state="failed")


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch) -> FakeTools:
    monkeypatch.setattr(mcp_server, "TELL_EVERY", 0.01)
    return FakeTools()


async def call(tools: FakeTools, name: str, **arguments: Any) -> tuple[bool, Any, list[str | None]]:
    """Whether it is an error, what came, and the words of progress on the way."""
    told: list[str | None] = []

    async def hear(progress: float, total: float | None, message: str | None) -> None:
        told.append(message)

    async with Client(make_server(tools)) as client:  # type: ignore[arg-type]
        result = await client.call_tool(name, arguments, progress_callback=hear)
    text = getattr(result.content[0], "text", "") if result.content else ""
    return bool(result.is_error), result.structured_content or text, told


@pytest.mark.asyncio
async def test_it_offers_what_an_agent_may_do_and_nothing_that_only_a_person_may(tools: FakeTools) -> None:
    async with Client(make_server(tools)) as client:  # type: ignore[arg-type]
        names = [tool.name for tool in (await client.list_tools()).tools]
    assert {"swarm_status", "publish_task", "wait_task", "run_workflow", "report_progress"} <= set(names)
    assert not [name for name in names for order in ORDERS if order in name]


@pytest.mark.asyncio
async def test_a_wait_tells_progress_and_ends_with_the_task(tools: FakeTools) -> None:
    error, result, told = await call(tools, "wait_task", task_id="t", seconds=10)
    assert (error, result["ended"], result["result"]) == (False, True, {"n": 1})
    assert told == ["running", "running"]


@pytest.mark.asyncio
async def test_a_long_wait_ends_before_the_client_gives_up_and_says_so(
    tools: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_server, "LONGEST_WAIT", 0.0)
    _, result, _ = await call(tools, "wait_task", task_id="t", seconds=10_000)
    assert (result["ended"], result["state"]) == (False, "running")
    assert "still running" in result["note"]


@pytest.mark.asyncio
async def test_a_wait_ends_before_a_client_with_a_short_limit_gives_up(tools: FakeTools) -> None:
    tools.looks = -1000
    async with Client(make_server(tools, 0.3)) as client:  # type: ignore[arg-type]
        result = await client.call_tool("wait_task", {"task_id": "t", "seconds": 600}, read_timeout_seconds=5.0)
    assert (result.structured_content or {})["ended"] is False


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "arguments", "says"),
    [
        ("get_task", {"task_id": "x"}, "no task `x`"),
        ("publish_task", {"type": "noop", "priority": "huge"}, "priority"),
        ("publish_task", {"type": "noop", "payload": [1]}, "payload"),
        ("wait_task", {}, "task_id"),
    ],
)
async def test_what_cannot_be_is_an_error_with_a_sentence(
    tools: FakeTools, name: str, arguments: dict[str, Any], says: str
) -> None:
    error, result, _ = await call(tools, name, **arguments)
    assert error
    assert says in str(result)


@pytest.mark.asyncio
async def test_a_question_is_sent_once_and_waited_for_again_by_its_id(
    tools: FakeTools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mcp_server, "LONGEST_WAIT", 0.0)
    _, result, _ = await call(tools, "ask_agent", to="b", text="ready?", seconds=1000)
    assert (result["ended"], result["state"], result["message_id"]) == (False, "waiting", "m")
    assert "call this again" in result["note"]
    monkeypatch.setattr(mcp_server, "LONGEST_WAIT", 10.0)
    _, result, told = await call(tools, "ask_agent", message_id="m", seconds=10)
    assert (result["ended"], result["text"], told) == (True, "yes", ["waiting"])
    assert [(one.to, one.text, one.expects_answer) for one in tools.sent] == [("b", "ready?", True)]


@pytest.mark.asyncio
async def test_mail_is_read_and_waited_for(tools: FakeTools) -> None:
    _, result, _ = await call(tools, "read_messages")
    assert (result["messages"], result["ended"]) == ([], True)
    _, result, _ = await call(tools, "read_messages", wait_seconds=10)
    assert [one["text"] for one in result["messages"]] == ["hello"]


@pytest.mark.asyncio
async def test_a_message_is_sent_as_it_was_asked_for(tools: FakeTools) -> None:
    await call(tools, "send_message", to="testing", text="done", reply_to="m9")
    assert [(one.to, one.text, one.reply_to) for one in tools.sent] == [("testing", "done", "m9")]


@pytest.mark.asyncio
async def test_a_task_is_published_as_it_was_asked_for(tools: FakeTools) -> None:
    await call(tools, "publish_task", type="noop", payload={"a": 1}, needs=["x"], task_id="mine")
    (task,) = tools.published
    assert (task.task_id, task.payload, task.needs) == ("mine", {"a": 1}, ["x"])


def test_a_tasks_program_speaks_as_its_agent_and_a_person_as_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    found = Target(swarm="s", broker=Broker(), state=state_dir("s"))
    assert caller(found, {}).agent_id is None
    monkeypatch.setenv(VARIABLE, mark(str(found.state.root.absolute()), "a", "0123"))
    who = caller(found, {"SWARM_TASK_ID": "t", "SWARM_FENCE": "2.5", "SWARM_AGENT_ID": "boss"})
    assert (who.agent_id, who.task_id, who.attempt, who.epoch) == ("a", "t", 2, 5)
    assert caller(found, {"SWARM_TASK_ID": "t t"}).task_id is None


@pytest.mark.parametrize("named", [{"SWARM_AGENT_ID": "boss"}, {"SWARM_AGENT_ID": ""}, {}])
def test_a_task_whose_agent_is_not_known_speaks_with_nobodys_keys(
    named: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Target(swarm="s", broker=Broker(), state=state_dir("s").create())
    make_secret(found.state, "home")
    for name, value in {"SWARM_TASK_ID": "t", **named}.items():
        monkeypatch.setenv(name, value)
    assert (caller(found).agent_id, keys_of(found)) == (None, GUEST)


def test_a_person_reads_what_others_wrote_to_them_each_message_once() -> None:
    rows = [
        MailRow(message_id="m1", sender="operator:ann@box", to="b", text="mine"),
        MailRow(message_id="m2", sender="b", to="operator:ann@box", text="theirs"),
    ]
    follower = SimpleNamespace(
        operator=SimpleNamespace(sender="operator:ann@box", on_event=lambda call: None), load_mails=lambda args: rows
    )
    tools = Tools(cast("Any", follower), cast("Any", SimpleNamespace(agent_id=None, task_id=None)))
    assert [(one["from"], one["text"]) for one in tools.read()] == [("b", "theirs")]
    assert tools.read() == []
    rows.append(MailRow(message_id="m3", sender="b", to="operator:ann@box", text="more"))
    assert [one["text"] for one in tools.read()] == ["more"]
