"""Agents that were started by hand: what a supervisor does is not offered for them, and they are no trouble."""

import pytest

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from tests.ui.harness import UiDriver, open_ui


async def by_hand(ui: UiDriver) -> None:
    """Let one come that has no pane, and put the cursor on it."""
    status = b.Status(status="online", role="testing", incarnation="i", host="devbox", pid=77, capabilities=["x"])
    ui.source.say("aa-hand", Kind.STATUS, status, "aa-hand", role="testing")
    await ui.settle()
    beat = b.Heartbeat(agent_id="aa-hand", state="online", incarnation="i")
    for _ in range(3):
        ui.source.say("aa-hand", Kind.HEARTBEAT, beat, role="testing")
        await ui.pass_(6)
    assert ui.app.main.agents.select("aa-hand")
    await ui.settle()


@pytest.mark.asyncio
async def test_what_a_supervisor_does_is_not_offered_for_an_agent_started_by_hand_and_said_why() -> None:
    async with open_ui() as ui:
        assert "restart" in ui.footer
        assert "stop" in ui.footer
        await by_hand(ui)
        assert "restart" not in ui.footer
        assert "stop" not in ui.footer
        assert "drain" in ui.footer
        for key in ("r", "R", "s"):
            await ui.press(key)
            assert ui.has("aa-hand was started by hand, and no supervisor minds it: end or start it where it runs")
        assert not any(kind is Kind.HOST_CONTROL for kind, _, _ in ui.source.acts)
        await ui.press("question_mark")
        assert ui.has("restart", "not now: aa-hand was started by hand")
        await ui.press("escape", "d")
        assert [(kind, key) for kind, _, key in ui.source.acts] == [(Kind.INBOX, "aa-hand")]


@pytest.mark.asyncio
async def test_an_agent_started_by_hand_is_no_trouble_and_says_what_it_is() -> None:
    async with open_ui() as ui:
        before = len(ui.app.model.problems())
        await by_hand(ui)
        assert ui.app.model.agent("aa-hand").witness == "foreign"  # type: ignore[union-attr]
        assert len(ui.app.model.problems()) == before
        assert ui.has("● online", "aa-hand", "started by hand")


@pytest.mark.asyncio
async def test_while_its_supervisor_is_away_an_agent_is_not_restarted_and_the_reason_is_said() -> None:
    async with open_ui() as ui:
        ui.source.say("supervisor", Kind.HOST_STATUS, b.HostStatus(status="offline"), "devbox")
        await ui.settle()
        await ui.pass_(1)
        assert "restart" not in ui.footer
        await ui.press("r")
        assert ui.has("the supervisor of devbox, which minds api-gateway-01, is away")
        await ui.press("d")
        assert [kind for kind, _, _ in ui.source.acts] == [Kind.INBOX]


@pytest.mark.asyncio
async def test_what_an_agent_does_begins_with_the_type_of_its_task() -> None:
    async with open_ui(size=(200, 50)) as ui:
        busy = [agent for agent in ui.app.model.fleet.agents.values() if agent.task_id]
        assert busy
        for agent in busy:
            task = ui.app.model.task(agent.task_id)
            assert task is not None
            assert ui.has(agent.agent_id, f" {task.type[:12]}")
