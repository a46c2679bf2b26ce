"""What somebody meets who sees the screen for the first time: its words say what its keys do."""

import pytest

from tests.ui import scenes
from tests.ui.harness import Seat, seated

LOG = [
    "✅ Agent started: testing-01",
    "🔨 testing.run task_old",
    "   of long before",
    "✅ task_old in 1.0 s",
    "🔨 testing.run task_77aa01, attempt 1",
    "   311 of 430 tests",
    "2020-01-01T00:00:00Z a line with another clock",
]


@pytest.mark.asyncio
async def test_a_notice_gives_the_keys_back_by_itself_and_is_kept() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("u")
        assert "nothing to undo" in seat.footer
        await seat.pass_(6.0)
        assert "enter open" in seat.footer
        await seat.press("M")
        assert seat.has("nothing to undo")


@pytest.mark.asyncio
async def test_a_notice_that_is_cut_keeps_its_end() -> None:
    async with seated("calm", (80, 24)) as seat:
        seat.app.say("seen: " + "a-long-name" * 9 + "; u brings it back")
        assert seat.footer.startswith(" › seen: a-long")
        assert seat.footer.endswith("; u brings it back")


@pytest.mark.asyncio
async def test_what_was_seen_is_said_to_be_seen_already() -> None:
    async with seated("trouble", (80, 24)) as seat:
        await seat.press("p", "x")
        assert "seen: deployment-01" in seat.footer
        await seat.press("x")
        assert "deployment-01 is already seen" in seat.footer


@pytest.mark.asyncio
async def test_the_log_on_a_tasks_page_is_that_tasks_own() -> None:
    async with seated("trouble", (80, 24)) as seat:
        seat.source.logs["testing-01"] = LOG
        seat.app.pages.open_task("task_77aa01")
        await seat.settle()
        await seat.press("G")
        assert seat.has("testing-01 wrote meanwhile")
        assert seat.has("311 of 430 tests")
        assert not seat.has("of long before")


async def command(seat: Seat, text: str) -> None:
    await seat.press("colon")
    await seat.type(text)
    await seat.press("enter")


@pytest.mark.asyncio
async def test_a_word_that_help_explains_is_no_way_out() -> None:
    async with seated("calm", (80, 24)) as seat:
        for word in ("lease", "Epoch", "draining"):
            await command(seat, word)
            assert f"{word} is a word, no act: ? explains it" in seat.footer
        await command(seat, "leaves")
        assert "did you mean leave" not in seat.footer
        await command(seat, "leav")
        assert "did you mean leave" in seat.footer


@pytest.mark.asyncio
async def test_the_wall_names_what_enter_does_there() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("w")
        assert "enter zoom " in seat.footer
        await seat.press("enter")
        assert "enter zoom out" in seat.footer
        assert "enter open" not in seat.footer


@pytest.mark.asyncio
async def test_the_line_to_type_in_says_what_it_filters() -> None:
    async with seated("calm", (80, 24)) as seat:
        for panel in ("agents", "tasks", "stream"):
            await seat.press("slash")
            assert f"filter {panel}:" in seat.footer
            await seat.press("escape", "tab")
        assert "/ find" in seat.footer, "the pane is searched, not filtered"
        await seat.press("slash")
        assert "find:" in seat.footer


@pytest.mark.asyncio
async def test_the_problems_view_without_an_agent_says_why_no_pane_shows() -> None:
    async with seated("calm", (120, 40)) as seat:
        scenes.task(seat.source, seat.clock, "task_bad", "testing.run", "testing-01", end="badly")
        await seat.settle()
        await seat.press("p")
        assert seat.has("No agent is in trouble, so none is selected")
        assert not seat.has("PANE -")


@pytest.mark.asyncio
async def test_a_type_is_offered_that_was_sent_last_and_then_the_closest() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n", *"test", "enter")
        assert seat.has("type", "testing.run"), "the shorter of two that are alike"
        seat.app.state.sent = [{"type": "documentation.test"}, {"type": "testing.coverage"}]
        await seat.press("escape", "n", *"test", "enter")
        assert seat.has("type", "testing.coverage")


@pytest.mark.asyncio
async def test_a_part_of_a_type_is_refused_by_names_until_one_is_chosen() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("n")
        assert not seat.has("^U clears it")
        await seat.press(*"test", "ctrl+s")
        assert "type: a part of testing.run and testing.coverage: enter takes, tab keeps it" in seat.footer
        assert seat.has("^U clears it")
        await seat.press("enter")
        assert "part of" not in seat.footer
        await seat.press("shift+tab", "ctrl+u")
        assert not seat.has("^U clears it")
