"""A pane's history: scrolled to, searched, and never mixed with another's."""

import threading

import pytest
from textual.events import MouseScrollUp

from tests.ui.harness import Seat, seated

OLDER = [f"old {n}" for n in range(100)]


def shows(seat: Seat) -> list[str]:
    """The lines of the pane that show."""
    pane = seat.app.main.pane
    return [pane.bare_line(y).text[:-1].rstrip() for y in range(pane.HEAD, pane.HEAD + min(pane.room, pane.count()))]


def scroll_off(seat: Seat, count: int, pane: str = "%0") -> None:
    """The pane prints some lines: as many leave its screen for the history."""
    panes = seat.source.panes
    screen = panes.screens[pane]
    fresh = [f"printed {n}" for n in range(count)]
    panes.older[pane] = [*panes.older.get(pane, []), *screen[:count]]
    panes.screens[pane] = [*screen[count:], *fresh]


@pytest.mark.asyncio
async def test_going_up_shows_what_scrolled_away_and_follow_comes_back() -> None:
    async with seated("calm") as seat:
        main = seat.app.main
        seat.source.panes.older["%0"] = OLDER
        main.focus_panel("pane")
        await seat.press("k")
        await seat.press(*["k"] * 5)
        assert "old 99" in shows(seat)
        assert seat.has("PANE", "held", "f follows")
        await seat.press("pageup")
        assert "old 99" not in shows(seat)
        await seat.press("g")
        assert shows(seat)[0] == "old 0"
        await seat.press("G")
        assert shows(seat)[-1].endswith("200 11ms")
        for _ in range(6):
            await seat.pilot._post_mouse_events([MouseScrollUp], main.pane, offset=(5, 5), button=0)
        await seat.settle()
        assert shows(seat)[0] == "old 82"
        await seat.press("f")
        scroll_off(seat, 2)
        await seat.settle()
        assert shows(seat)[-1] == "printed 1"


@pytest.mark.asyncio
async def test_no_line_is_missing_between_the_history_and_the_end() -> None:
    async with seated("calm") as seat:
        pane = seat.app.main.pane
        seat.source.panes.older["%0"] = OLDER
        seat.app.main.focus_panel("pane")
        await seat.press("g")
        before = pane.text()
        scroll_off(seat, 5)
        await seat.settle()
        assert pane.text() == before, "it does not hold still"
        await seat.press("f", "g")
        assert len(pane.text().splitlines()) == 118
        assert shows(seat)[0] == "old 0"


@pytest.mark.asyncio
async def test_a_search_visits_each_hit_and_sees_what_came_since() -> None:
    async with seated("calm") as seat:
        pane = seat.app.main.pane
        seat.source.panes.older["%0"] = [f"line {n}{' hit' * (n in (10, 34, 37, 40))}" for n in range(60)]
        seat.app.main.focus_panel("pane")
        visited: list[int | None] = []
        await seat.press("slash")
        await seat.type("HIT")
        await seat.press("enter")
        visited.append(pane.hit)
        assert seat.has("PANE", "/HIT 1 of 4")
        for _ in range(4):
            await seat.press("slash", "enter")
            assert f"line {pane.hit} hit" in shows(seat)
            visited.append(pane.hit)
        assert visited == [40, 37, 34, 10, 40]
        seat.source.panes.screens["%0"] = [*seat.source.panes.screens["%0"], "a new hit"]
        await seat.press("slash", "enter")
        assert pane.hit == 37
        assert seat.has("3 of 5")
        await seat.press("f", "slash", "enter")
        assert shows(seat)[-1] == "a new hit"
        await seat.press("slash")
        await seat.type("x")
        await seat.press("enter")
        assert "the pane has no 'HITx'" in seat.footer


@pytest.mark.asyncio
async def test_the_history_of_one_pane_never_lands_in_another() -> None:
    async with seated("calm") as seat:
        asked, answer = threading.Event(), threading.Event()

        def slow(pane_id: str, lines: int) -> list[str]:
            asked.set()
            answer.wait(5.0)
            return [f"history of {pane_id}"] * 50

        seat.source.panes.history = slow  # type: ignore[method-assign]
        main = seat.app.main
        main.pane.search("history")
        await seat.pilot.pause()
        assert asked.wait(5.0)
        main.go_agent(2)
        await seat.pilot.pause()
        answer.set()
        await seat.settle()
        assert main.pane.agent_id == "code-review-01"
        assert "history of" not in main.pane.text()


@pytest.mark.asyncio
async def test_a_history_that_cannot_be_had_leaves_the_pane_as_it_is() -> None:
    async with seated("calm") as seat:

        def fails(pane_id: str, lines: int) -> list[str]:
            raise OSError("tmux is gone")

        seat.source.panes.history = fails  # type: ignore[method-assign]
        seat.app.main.focus_panel("pane")
        await seat.press("g")
        assert "tmux is gone" in seat.footer
        assert seat.app.main.pane.count() == 13
