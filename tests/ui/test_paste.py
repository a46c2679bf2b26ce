"""A paste of several lines into a line: all of it is taken, and it is said."""

import pytest
from textual.events import Paste

from swarm_tui.ui.widgets.line import as_one_line
from tests.ui.harness import UiDriver, open_ui


async def paste(ui: UiDriver, text: str) -> None:
    """Paste, as a terminal does between its brackets."""
    ui.app.post_message(Paste(text))
    await ui.settle()


@pytest.mark.parametrize(
    ("text", "line", "lines"),
    [
        ("one", "one", 1),
        ("  one ", "  one ", 1),
        ("one\n", "one", 1),
        ("\r\none\r\n", "one", 1),
        ("one\ntwo", "one two", 2),
        ('{\n  "a": 1\n}\n', '{ "a": 1 }', 3),
        ("one\n\n\n  two \u2028three", "one two three", 3),
        ("", "", 0),
        ("\n\n", "", 0),
    ],
)
def test_lines_become_one(text: str, line: str, lines: int) -> None:
    assert as_one_line(text) == (line, lines)


@pytest.mark.asyncio
async def test_a_field_takes_all_lines_and_the_last_line_says_so() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("n")
        await ui.type("code.review")
        await ui.press("tab")
        await paste(ui, "src\ntests\n")
        assert ui.has("path*", "src tests")
        assert "2 lines joined by spaces" in ui.footer
        await ui.press("shift+home")
        await paste(ui, "lib\n")
        assert ui.app.screen.draft.values["path"] == "lib"  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_a_filter_takes_all_lines_and_says_so_beside_them() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await ui.press("slash")
        await paste(ui, "type:testing.*\nstate:failed")
        assert "type:testing.* state:failed" in ui.footer
        assert "2 lines joined by spaces" in ui.footer
        await ui.type("x")
        assert "joined" not in ui.footer
