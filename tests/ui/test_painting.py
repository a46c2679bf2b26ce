"""Rows that are written past the compositor are what it would write, where it would write them, and nothing else."""

import re

import pytest

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.app import SwarmApp
from swarm_tui.ui.widgets.footer import Footer
from swarm_tui.ui.widgets.painting import PaintedRows
from tests.ui import scenes
from tests.ui.harness import UiDriver, open_ui

_ROW = re.compile(r"\x1b\[(\d+);(\d+)H((?:[^\x1b]|\x1b\[[0-9;]*m)+)")
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """What is written to it."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def rows(self) -> list[tuple[int, int, str]]:
        """Line, column and text of each row that was written."""
        found = [(int(y) - 1, int(x) - 1, _STYLE.sub("", text)) for y, x, text in _ROW.findall("".join(self.said))]
        self.said.clear()
        return found


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    made = Terminal()
    monkeypatch.setattr(SwarmApp, "is_headless", False)
    monkeypatch.setattr(
        "textual.drivers.headless_driver.HeadlessDriver.write", lambda self, data: made.said.append(data)
    )
    monkeypatch.setattr("swarm_tui.ui.app.SwarmApp._display", lambda *_: None)
    return made


def same(ui: UiDriver, rows: list[tuple[int, int, str]]) -> bool:
    """Whether the screen holds these rows."""
    shown = ui.text()
    return all(shown[y][x : x + len(text)] == text for y, x, text in rows)


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])
async def test_what_is_painted_is_what_shows(terminal: Terminal, size: tuple[int, int]) -> None:
    async with open_ui(size=size) as ui:
        terminal.rows()
        scenes.task(ui.source, ui.clock, "task_mover", "testing.run", "testing-01", ago=3)
        await ui.settle()
        rows = terminal.rows()
        assert any("task_mover" in text for _, _, text in rows)
        assert same(ui, rows)
        await ui.press("j", "tab", "j")
        rows = terminal.rows()
        assert rows
        assert same(ui, [(y, x, text) for y, x, text in rows if "▌" in text and ui.text()[y][x] == "▌"])
        await ui.pass_(3.0)
        assert same(ui, terminal.rows())


@pytest.mark.asyncio
async def test_nothing_is_painted_over_what_stands_before_it(terminal: Terminal) -> None:
    async with open_ui(size=(120, 40)) as ui:
        await ui.press("/")
        terminal.rows()
        for footer in ui.app.screen.query(Footer):
            footer.refresh()
        ui.source.say("docs-01", Kind.TASK_NEW, b.Task(task_id="task_fresh", type="testing.run"))
        await ui.settle()
        rows = terminal.rows()
        assert any("task_fresh" in text for _, _, text in rows)
        assert all(y < 39 for y, _, _ in rows), "the line that is typed in stands there"
        await ui.press("escape", "?")
        terminal.rows()
        ui.source.say("docs-01", Kind.TASK_NEW, b.Task(task_id="task_later", type="testing.run"))
        await ui.settle()
        assert not any("task_later" in text for _, _, text in terminal.rows())


@pytest.mark.asyncio
async def test_one_turn_paints_a_row_once(terminal: Terminal) -> None:
    async with open_ui(size=(120, 40)) as ui:
        terminal.rows()
        (footer,) = ui.app.screen.query(Footer)
        assert isinstance(footer, PaintedRows)
        for _ in range(3):
            footer.refresh()
        await ui.pilot.pause()
        assert [y for y, _, _ in terminal.rows()] == [39]
