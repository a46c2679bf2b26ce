"""Filters kept by name: by key, command and palette, for every swarm, and forgotten with a way back."""

from pathlib import Path

import pytest

from swarm_tui.config.saved_filters import SavedFilter, SavedFilters
from swarm_tui.config.user import UserConfig
from tests.ui.harness import UiDriver, open_ui


async def filter_tasks(ui: UiDriver, text: str) -> None:
    await ui.press("tab", "slash")
    await ui.type(text)
    await ui.press("enter")


@pytest.mark.asyncio
async def test_a_filter_is_kept_and_applied_from_anywhere(tmp_path: Path) -> None:
    path = tmp_path / "filters.json"
    async with open_ui("trouble", filters=SavedFilters(path)) as ui:
        await ui.press("K")
        assert "nothing to keep" in ui.footer
        await filter_tasks(ui, "state:failed")
        await ui.press("K")
        await ui.type("night work")
        await ui.press("enter")
        assert "kept as night work" in ui.footer
    async with open_ui("trouble", filters=SavedFilters(path)) as ui:
        await ui.press("enter", "F")
        assert ui.has("night work", "tasks", "/state:failed")
        await ui.press("enter")
        assert (ui.app.main.panel, ui.app.main.tasks.pattern) == ("tasks", "state:failed")
        assert ui.app.screen is ui.app.main
        await ui.press("escape", "colon")
        await ui.type("filters nig")
        await ui.press("tab", "enter")
        assert ui.app.main.tasks.pattern == "state:failed"
        await ui.press("escape", "ctrl+p")
        await ui.type("night w")
        await ui.press("enter")
        assert ui.app.main.tasks.pattern == "state:failed"


@pytest.mark.asyncio
async def test_one_is_forgotten_and_kept_again(tmp_path: Path) -> None:
    filters = SavedFilters(tmp_path / "filters.json")
    filters.keep("one", "agents", "docs")
    async with open_ui(filters=filters) as ui:
        await ui.press("F", "x")
        assert ui.has("one", "forgotten")
        assert filters.read()[0] == {}
        await ui.press("enter")
        assert ui.has("one", "forgotten"), "what is forgotten is not applied"
        await ui.press("x")
        assert filters.read()[0] == {"one": SavedFilter("agents", "docs")}
        await ui.press("F")
        assert ui.app.screen is ui.app.main
        await ui.press("colon")
        await ui.type("filters two")
        await ui.press("enter")
        assert "no filter is kept as 'two': one" in ui.footer


@pytest.mark.asyncio
async def test_keys_can_be_others_and_another_text_takes_the_name_and_is_told() -> None:
    config = UserConfig(keys={"filters": "f8", "keep_filter": "f7"})
    async with open_ui("trouble", config=config) as ui:
        for text, told in (("state:failed", "kept as a: /state:failed"), ("docs", "instead of /state:failed")):
            await ui.press("1")
            ui.app.main.focus_panel("tasks")
            ui.app.main.set_filter(text)
            await ui.press("f7")
            await ui.type("a")
            await ui.press("enter")
            assert told in ui.footer
        await ui.press("f8")
        assert ui.has("/docs")
        await ui.press("f8")
        assert not ui.has("/docs", "a ", "tasks")


@pytest.mark.asyncio
async def test_a_bad_file_is_told_of_and_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "filters.json"
    path.write_text('{"a": 1}')
    async with open_ui("trouble", filters=SavedFilters(path)) as ui:
        told = [notice.text for notice in ui.app.notices.all]
        assert any("filters.json:1:2" in text and "`panel` is one of" in text for text in told)
        await ui.press("tab")
        ui.app.main.set_filter("docs")
        await ui.press("colon")
        await ui.type("keep_filter b")
        await ui.press("enter")
        assert "nothing was written" in ui.footer
        assert path.read_text() == '{"a": 1}'
