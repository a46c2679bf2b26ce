"""Rows in groups that fold, and agents as a map of cells."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.ui.model.row_lines import HEADING, RowLines, head_of
from swarm_tui.ui.model.saved_state import load_state
from swarm_tui.ui.model.sorted_rows import SortedRows
from swarm_tui.ui.screens.agent import AgentScreen
from swarm_tui.ui.widgets.agents import AgentTable
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui


def agents(ui: UiDriver) -> AgentTable:
    return ui.app.main.agents


@given(
    st.dictionaries(st.sampled_from([f"r{n:02d}" for n in range(30)]), st.sampled_from("xyz")),
    st.integers(1, 5),
    st.booleans(),
    st.sets(st.sampled_from("xyz")),
)
def test_each_line_is_a_head_or_holds_rows_and_each_open_row_has_its_place(
    groups: dict[str, str], across: int, grouped: bool, folded: set[str]
) -> None:
    rows = SortedRows()
    rows.fill((name, (0,), group) for name, group in groups.items())
    rows.order_by(None, (lambda group: (0, group)) if grouped else None, falls=False)
    lines = RowLines(rows)
    lines.across, lines.grouped, lines.folded = across, grouped, folded
    there = [
        (line, cell, lines.name(line, cell))
        for line in range(lines.count())
        for cell in range(1 if lines.is_head(line) else len(lines.held(line)))
    ]
    opened = {name for name, group in groups.items() if not grouped or group not in folded}
    heads = {head_of(group) for group in groups.values()} if grouped else set()
    assert sorted(name or "" for _, _, name in there) == sorted(opened | heads)
    assert all(lines.place(name or "") == (line, cell) for line, cell, name in there)
    assert all(lines.place(name) is None for name in groups.keys() - opened)
    assert lines.name(lines.count()) is None


@pytest.mark.asyncio
async def test_agents_are_grouped_and_a_group_folds_at_enter(tmp_path: Path) -> None:
    path = tmp_path / "screen.json"
    async with open_ui("trouble", (120, 40), state_path=path) as ui:
        table = agents(ui)
        await ui.press("g", "b")
        assert ui.has("AGENTS", "by role")
        assert ui.has("▾ testing 1")
        await ui.press("b", "b")
        assert ui.has("▾ crashloop 1"), "the worst stand first"
        assert table.row_lines.name(0) == head_of("crashloop")
        await ui.press("g")
        assert table.current() is None
        assert "fold" in ui.footer
        lines = table.count()
        await ui.press("enter")
        assert ui.has("▸ crashloop 1")
        assert table.count() == lines - 1
        assert "deployment-01" in table.rows, "what is folded away is there still"
        await ui.press("r")
        assert "no agent" in ui.footer
        await ui.press("J")
        assert table.count() == len(table.row_lines.spans())
        await ui.press("J")
        assert table.count() == len(table.rows) + len(table.row_lines.spans())
        await ui.press("1")
        assert table.current() == table.rows[0]
        await ui.pass_(1)
    assert load_state(path).groups == {"agents": "state"}
    async with open_ui("trouble", (120, 40), state_path=path) as ui:
        assert ui.has("AGENTS", "by state")
        await ui.press("b")
        assert not ui.has("AGENTS", "by state")
        await ui.press("colon")
        await ui.type("group moon")
        await ui.press("enter")
        assert "grouped by role, host, state or none" in ui.footer
        await ui.press("J")
        assert "there are no groups" in ui.footer


@pytest.mark.asyncio
async def test_the_cursor_stays_on_its_row_as_groups_fold_and_rows_come() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        table = agents(ui)
        table.select("testing-01")
        await ui.press("b")
        assert table.current() == "testing-01"
        table.fold("docs")
        assert table.current() == "testing-01"
        table.fold("testing")
        assert table.here() == head_of("testing"), "where its row is folded away it is on the head"
        assert table.select("testing-01"), "who is gone to is shown"
        assert table.row_lines.folded == {"docs"}


@pytest.mark.asyncio
async def test_a_mark_on_a_head_is_for_the_whole_group() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        await ui.press("tab", "b", "g", "space")
        tasks = ui.app.main.tasks
        assert ui.app.main.panel == "tasks"
        label = (tasks.row_lines.name(0) or "").removeprefix(HEADING)
        assert ui.app.model.marks["tasks"] == set(tasks.of_group(label)) != set()
        await ui.press("g", "space")
        assert not ui.app.model.marks["tasks"]


@pytest.mark.asyncio
async def test_the_map_shows_every_agent_as_a_cell_and_keys_move_in_it() -> None:
    async with open_ui("trouble", (80, 24)) as ui:
        table = agents(ui)
        await ui.press("g", "h")
        assert ui.has("AGENTS", "map", "api-gateway-01")
        assert table.count() == 1
        cells = "".join(part.text for part in table.parts(0, 79))
        assert len(cells.split()) == 9
        assert "‼" in cells, "whoever crashed is told by the glyph too"
        await ui.press("right", "right", "right")
        assert table.current() == "deployment-01"
        assert ui.has("AGENTS", "deployment-01", "crashloop")
        await ui.press("left")
        assert table.current() == "database-01"
        await ui.press("left", "left", "left", "left")
        assert table.current() == "api-gateway-01"
        await ui.pilot.click(table, offset=(2 + 2 * 3, 1))
        await ui.settle()
        assert table.current() == "deployment-01"
        await ui.press("enter")
        assert isinstance(ui.app.screen, AgentScreen)
        await ui.press("escape", "b", "b", "b")
        assert ui.has("▾ crashloop 1")
        assert table.current() == "deployment-01"
        await ui.press("h")
        assert not table.mapped
        await ui.press("right")
        assert "there are no cells here" in ui.footer


@pytest.mark.asyncio
async def test_the_map_is_drawn_anew_when_an_agent_changes() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        await ui.press("h")
        table = agents(ui)

        def cells() -> str:
            return ui.text()[table.region.y + 1]

        before = cells()
        for _ in range(4):
            await ui.pass_(10)
            scenes.beat(ui.source, ui.clock, ui.clock(), without=("docs-01",))
        await ui.pass_(1)
        assert (before.count("‼"), cells().count("‼")) == (0, 1), "one of them was not heard for long"


def test_the_room_decides_how_wide_a_cell_is() -> None:
    def width(count: int) -> int:
        table = SimpleNamespace(rows=range(count), text_width=79, room=5)
        return cast(Any, AgentTable)._cell_width.fget(table)

    assert [width(count) for count in (9, 190, 191, 10_000)] == [2, 2, 1, 1]


@pytest.mark.asyncio
@pytest.mark.parametrize(("width", "legend"), [(80, ("‼ 1", "↻ 1", "● 5")), (120, ("‼ 1 crashloop", "▶ 2 busy"))])
async def test_the_map_tells_what_its_glyphs_mean_as_far_as_there_is_room(width: int, legend: tuple[str, ...]) -> None:
    async with open_ui("trouble", (width, 30)) as ui:
        await ui.press("h")
        assert ui.has("AGENTS 9 map", "api-gateway-01 ● online", *legend)
