"""A pane's history: scrolled to, searched, and never mixed with another's."""

import threading

import msgspec
import pytest
from textual.events import MouseScrollUp

from tests.ui.harness import UiDriver, open_ui

OLDER = [f"old {n}" for n in range(100)]


def shows(ui: UiDriver) -> list[str]:
    """The lines of the pane that show."""
    pane = ui.app.main.pane
    return [pane.bare_line(y).text[:-1].rstrip() for y in range(pane.HEAD, pane.HEAD + min(pane.room, pane.count()))]


def scroll_off(ui: UiDriver, count: int, pane: str = "%0") -> None:
    """The pane prints some lines: as many leave its screen for the history."""
    panes = ui.source.panes
    screen = panes.screens[pane]
    fresh = [f"printed {n}" for n in range(count)]
    panes.older[pane] = [*panes.older.get(pane, []), *screen[:count]]
    panes.screens[pane] = [*screen[count:], *fresh]


@pytest.mark.asyncio
async def test_going_up_shows_what_scrolled_away_and_follow_comes_back() -> None:
    async with open_ui("calm") as ui:
        main = ui.app.main
        ui.source.panes.older["%0"] = OLDER
        main.focus_panel("pane")
        await ui.press("k")
        await ui.press(*["k"] * 5)
        assert "old 99" in shows(ui)
        assert ui.has("PANE", "held", "f follows")
        await ui.press("pageup")
        assert "old 99" not in shows(ui)
        await ui.press("g")
        assert shows(ui)[0] == "old 0"
        await ui.press("G")
        assert shows(ui)[-1].endswith("200 11ms")
        for _ in range(6):
            await ui.pilot._post_mouse_events([MouseScrollUp], main.pane, offset=(5, 5), button=0)
        await ui.settle()
        assert shows(ui)[0] == "old 82"
        await ui.press("f")
        scroll_off(ui, 2)
        await ui.settle()
        assert shows(ui)[-1] == "printed 1"


@pytest.mark.asyncio
async def test_a_recording_says_where_its_panes_show() -> None:
    async with open_ui("calm") as ui:
        ui.source.facts = msgspec.structs.replace(ui.source.facts, recording=True, printed=True)
        agent = ui.app.model.agent("docs-01")
        assert agent is not None
        assert ui.app.panes.why_no_pane(agent) == ["This is a recording", "T shows what its panes printed, and when"]


@pytest.mark.asyncio
async def test_no_line_is_missing_between_the_history_and_the_end() -> None:
    async with open_ui("calm") as ui:
        pane = ui.app.main.pane
        ui.source.panes.older["%0"] = OLDER
        ui.app.main.focus_panel("pane")
        await ui.press("g")
        before = pane.text()
        scroll_off(ui, 5)
        await ui.settle()
        assert pane.text() == before, "it does not hold still"
        await ui.press("f", "g")
        assert len(pane.text().splitlines()) == 118
        assert shows(ui)[0] == "old 0"


@pytest.mark.asyncio
async def test_a_search_visits_each_hit_and_sees_what_came_since() -> None:
    async with open_ui("calm") as ui:
        pane = ui.app.main.pane
        ui.source.panes.older["%0"] = [f"line {n}{' hit' * (n in (10, 34, 37, 40))}" for n in range(60)]
        ui.app.main.focus_panel("pane")
        visited: list[int | None] = []
        await ui.press("slash")
        await ui.type("HIT")
        await ui.press("enter")
        visited.append(pane.hit)
        assert ui.has("PANE", "/HIT 1 of 4")
        for _ in range(4):
            await ui.press("slash", "enter")
            assert f"line {pane.hit} hit" in shows(ui)
            visited.append(pane.hit)
        assert visited == [40, 37, 34, 10, 40]
        ui.source.panes.screens["%0"] = [*ui.source.panes.screens["%0"], "a new hit"]
        await ui.press("slash", "enter")
        assert pane.hit == 37
        assert ui.has("3 of 5")
        await ui.press("f", "slash", "enter")
        assert shows(ui)[-1] == "a new hit"
        await ui.press("slash")
        await ui.type("x")
        await ui.press("enter")
        assert "the pane has no 'HITx'" in ui.footer


@pytest.mark.asyncio
async def test_the_history_of_one_pane_never_lands_in_another() -> None:
    async with open_ui("calm") as ui:
        asked, answer = threading.Event(), threading.Event()

        def slow(pane_id: str, lines: int) -> list[str]:
            asked.set()
            answer.wait(5.0)
            return [f"history of {pane_id}"] * 50

        ui.source.panes.history = slow  # type: ignore[method-assign]
        main = ui.app.main
        main.pane.search("history")
        await ui.pilot.pause()
        assert asked.wait(5.0)
        main.go_agent(2)
        await ui.pilot.pause()
        answer.set()
        await ui.settle()
        assert main.pane.agent_id == "code-review-01"
        assert "history of" not in main.pane.text()


@pytest.mark.asyncio
async def test_a_history_that_cannot_be_had_leaves_the_pane_as_it_is() -> None:
    async with open_ui("calm") as ui:

        def fails(pane_id: str, lines: int) -> list[str]:
            raise OSError("tmux is gone")

        ui.source.panes.history = fails  # type: ignore[method-assign]
        ui.app.main.focus_panel("pane")
        await ui.press("g")
        assert "tmux is gone" in ui.footer
        assert ui.app.main.pane.count() == 13
