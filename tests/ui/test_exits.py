"""The agent's page tells how lives ended before the screen opened, and what the agent writes while it is open."""

import pytest

from swarm_tui.domain.states import AgentState
from swarm_tui.protocol.bodies import HostStatus, PaneStatus, Reply
from swarm_tui.protocol.topics import Kind
from tests.ui.fake import START
from tests.ui.harness import UiDriver, open_ui


async def killed(ui: UiDriver) -> None:
    """Its supervisor tells of an agent that was killed three times before we looked."""
    pane = PaneStatus(
        agent_id="docs-01", role="docs", pid=5000, pane_id="%4", incarnation="inc-4", restarts=3, exit_signal=9
    )
    events: list[dict[str, object]] = [
        {"at": START - 50.0, "what": "exit", "agent_id": "docs-01", "reason": "killed by SIGKILL; again at once"},
        {"at": START - 60.0, "what": "exit", "agent_id": "testing-01", "reason": "of another"},
    ]
    status = HostStatus(panes=[pane], session="s", events=events)
    ui.source.say("supervisor", Kind.HOST_STATUS, status, "devbox")
    await ui.settle()


@pytest.mark.asyncio
async def test_ends_of_before_the_screen_opened_are_told() -> None:
    async with open_ui("calm") as ui:
        will = '{"agent_id":"docs-01","payload":{"agent_id":"docs-01","status":"offline","incarnation":"inc-1"}}'
        row = {"at": START - 300.0, "topic": "opencto-dev/agents/docs-01/status", "payload": will}
        asked: list[dict[str, object]] = []

        def query(name: str, args: dict[str, object]) -> Reply | None:
            asked.append(args)
            return Reply(query=name, rows=[row]) if args.get("agent_id") == "docs-01" else None

        ui.source.query = query  # type: ignore[method-assign]
        await killed(ui)
        ui.app.pages.open_agent("docs-01")
        await ui.settle()
        assert ui.has("its last process was killed by SIGKILL")
        assert ui.has("exit: killed by SIGKILL; again at once")
        assert ui.has("inc-1: its connection ended without a farewell")
        assert not ui.has("of another")
        topics = [args["topic"] for args in asked if "topic" in args]
        assert topics == ["opencto-dev/agents/+/status"], "heartbeats would fill the answer"


@pytest.mark.asyncio
async def test_what_the_agent_writes_while_its_page_is_open_shows() -> None:
    async with open_ui("calm") as ui:
        ui.source.logs["docs-01"] = ["first line"]
        ui.app.pages.open_agent("docs-01")
        await ui.settle()
        assert ui.has("first line")
        ui.source.logs["docs-01"] = ["first line", "a later one"]
        await ui.pass_(4.0)
        assert ui.has("a later one")


@pytest.mark.asyncio
@pytest.mark.parametrize(("agent", "idle"), [("database-01", True), ("testing-01", False)])
async def test_a_page_says_of_one_that_drains_whether_it_has_something_in_hand(agent: str, idle: bool) -> None:
    async with open_ui("calm", (80, 24)) as ui:
        ui.app.model.fleet.agents[agent].state = AgentState.DRAINING
        ui.app.pages.open_agent(agent)
        await ui.settle()
        assert ui.has("It has nothing in hand and takes no more tasks.") == idle
        assert ui.has("It finishes what it has in hand") != idle
        assert ui.has("drained") == idle
        assert ui.has("draining") != idle
