"""What somebody meets who sees the screen for the first time: its words say what its keys do."""

import pytest

from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui

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
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("u")
        assert "nothing to undo" in ui.footer
        await ui.pass_(6.0)
        assert "enter open" in ui.footer
        await ui.press("I")
        assert ui.has("nothing to undo")


@pytest.mark.asyncio
async def test_a_notice_that_is_cut_keeps_its_end() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        ui.app.say("seen: " + "a-long-name" * 9 + "; u brings it back")
        assert ui.footer.startswith(" › seen: a-long")
        assert ui.footer.rstrip().endswith(" u brings it back  I whole")
        await ui.press("I")
        shown = "".join(line.strip() for line in ui.text())
        assert "a-long-name" * 9 + "; u brings it back" in shown.replace(" ", "").replace(
            ";ubringsitback", "; u brings it back"
        )


@pytest.mark.asyncio
async def test_what_was_seen_is_said_to_be_seen_already() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        await ui.press("p", "x")
        assert "seen: deployment-01" in ui.footer
        await ui.press("x")
        assert "deployment-01 is already seen" in ui.footer


@pytest.mark.asyncio
async def test_the_log_on_a_tasks_page_is_that_tasks_own() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        ui.source.logs["testing-01"] = LOG
        ui.app.pages.open_task("task_77aa01")
        await ui.settle()
        await ui.press("G")
        assert ui.has("testing-01 wrote meanwhile")
        assert ui.has("311 of 430 tests")
        assert not ui.has("of long before")


async def command(ui: UiDriver, text: str) -> None:
    await ui.press("colon")
    await ui.type(text)
    await ui.press("enter")


@pytest.mark.asyncio
async def test_a_word_that_help_explains_is_no_way_out() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        for word in ("lease", "Epoch", "draining"):
            await command(ui, word)
            assert f"{word} is a word, no act: ? explains it" in ui.footer
        await command(ui, "leaves")
        assert "did you mean leave" not in ui.footer
        await command(ui, "leav")
        assert "did you mean leave" in ui.footer


@pytest.mark.asyncio
async def test_the_wall_names_what_enter_does_there() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("w")
        assert "enter zoom " in ui.footer
        await ui.press("enter")
        assert "enter zoom out" in ui.footer
        assert "enter open" not in ui.footer


@pytest.mark.asyncio
async def test_the_line_to_type_in_says_what_it_filters() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        for panel in ("agents", "tasks", "stream"):
            await ui.press("slash")
            assert f"filter {panel}:" in ui.footer
            await ui.press("escape", "tab")
        assert "/ find" in ui.footer, "the pane is searched, not filtered"
        await ui.press("slash")
        assert "find:" in ui.footer


@pytest.mark.asyncio
async def test_the_problems_view_without_an_agent_says_why_no_pane_shows() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        scenes.task(ui.source, ui.clock, "task_bad", "testing.run", "testing-01", end="badly")
        await ui.settle()
        await ui.press("p")
        assert ui.has("No agent is in trouble, so none is selected")
        assert not ui.has("PANE -")


@pytest.mark.asyncio
async def test_a_type_is_offered_that_was_sent_last_and_then_the_closest() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n", *"test", "enter")
        assert ui.has("type", "testing.run"), "the shorter of two that are alike"
        ui.app.state.sent = [{"type": "documentation.test"}, {"type": "testing.coverage"}]
        await ui.press("escape", "n", *"test", "enter")
        assert ui.has("type", "testing.coverage")


@pytest.mark.asyncio
async def test_a_part_of_a_type_is_refused_by_names_until_one_is_chosen() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        assert not ui.has("^U clears it")
        await ui.press(*"test", "ctrl+s")
        assert "type: a part of testing.run and testing.coverage: enter takes, tab keeps it" in ui.footer
        assert ui.has("↓ ↑ mark another")
        await ui.press("enter")
        assert "part of" not in ui.footer
        assert ui.has("^U clears it")
        await ui.press("shift+tab", "ctrl+u")
        assert not ui.has("^U clears it")
