"""Colours that can be read: contrast in each theme, what is loud without colours, and the cursor on sixteen colours."""

import pytest
from rich.color import Color

from swarm_tui.ui.look.theme import NAMES, look, themes
from tests.ui import scenes
from tests.ui.harness import open_ui

READABLE = 4.5
SAID = ("ok", "busy", "warn", "bad", "wait", "quiet", "accent")
EXACT = [theme for theme in themes() if theme.name != "ansi"]
"""The themes whose colours are ours, and not the terminal's."""


def luminance(colour: Color) -> float:
    parts = [part / 255 for part in colour.get_truecolor()]
    red, green, blue = (p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color | str | None, other: Color | str | None) -> float:
    """As WCAG has it: 1 to 21."""
    colours = [Color.parse(each) if isinstance(each, str) else each for each in (one, other)]
    low, high = sorted(luminance(colour) for colour in colours if colour is not None)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", EXACT, ids=lambda theme: theme.name)
def test_each_word_can_be_read_where_it_stands(theme) -> None:  # type: ignore[no-untyped-def]
    styles = look(theme.name)
    grounds = {name: styles[name].bgcolor for name in ("cursor", "rest", "head")} | {
        "page": Color.parse(theme.background), "panel": Color.parse(theme.panel)
    }  # fmt: skip
    faint = [(s, g) for s in SAID for g, colour in grounds.items() if contrast(styles[s].color, colour) < READABLE]
    assert not faint
    for strip in ("alarm", "caution", "match"):
        assert contrast(styles[strip].color, styles[strip].bgcolor) >= READABLE, strip


@pytest.mark.parametrize("theme", EXACT, ids=lambda theme: theme.name)
def test_the_field_with_the_focus_stands_out_from_the_others(theme) -> None:  # type: ignore[no-untyped-def]
    field, on, text = (theme.variables[name] for name in ("field", "field-on", "field-text"))
    assert contrast(field, theme.background) >= 1.2
    assert contrast(on, field) >= 1.25
    assert contrast(on, theme.background) > contrast(field, theme.background)
    assert contrast(text, on) >= READABLE
    assert contrast(theme.foreground, field) >= READABLE


@pytest.mark.parametrize("name", NAMES)
def test_without_colours_what_is_wrong_is_loudest(name: str) -> None:
    styles = look(name, colour=False)
    for loud in ("bad", "alarm"):
        assert styles[loud].reverse
        assert styles[loud].bold
        assert styles[loud].color is None, "any colour becomes some grey"
    assert styles["caution"].reverse
    assert styles["warn"].bold
    assert not styles["ok"].bold


@pytest.mark.asyncio
async def test_no_color_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_ui("trouble", (80, 24)) as ui:
        assert ui.app.look["bad"].reverse
        await ui.press("ctrl+t")
        assert ui.app.look["bad"].reverse


def test_sixteen_colours_put_no_colour_of_theirs_under_the_words() -> None:
    assert look("ansi")["cursor"].bgcolor is None
    assert look("ansi")["cursor"].reverse
    assert look("ansi")["bar"].bgcolor is not None, "progress has a track"


@pytest.mark.asyncio
async def test_the_line_under_the_cursor_has_a_bar_on_every_list_and_page() -> None:
    async with open_ui("trouble", (120, 40)) as ui:
        app = ui.app
        ui.source.logs["testing-01"] = [f"line {n}" for n in range(5)]
        scenes.task(ui.source, ui.clock, "task_first", "testing.run", priority="high", ago=1)
        await ui.settle()

        def bars(place: str) -> str:
            assert app.front is not None
            lines = app.front.lines
            assert lines is not None
            starts = set()
            for index in range(lines.count()):
                lines.go(index)
                drawn = lines.bare_line(lines.HEAD + lines.cursor - lines.top).text
                assert drawn.startswith("▌"), f"{place}: {drawn}"
                starts.add(drawn[1])
            return "".join(starts)

        for panel in ("agents", "tasks", "stream"):
            app.main.focus_panel(panel)
            await ui.settle()
            assert panel != "tasks" or "▲" in bars(panel)
            app.main.act("mark_all")
            assert panel == "stream" or "◆" in bars(panel)
            bars(panel)
            app.main.act("mark_all")
        app.main.focus_panel("agents")
        app.main.agents.select("testing-01")
        for place in ("open", "logs", "help", "notices", "refused"):
            app.main.act(place)
            await ui.settle()
            bars(place)
            app.pages.to_main()
        app.pages.open_task("task_d3adbf")
        await ui.settle()
        bars("task")
        app.pages.open_message(app.model.stream.all[-1])
        await ui.settle()
        bars("message")
        app.pages.to_main()
        app.pages.open_form()
        await ui.settle()
        await ui.press("ctrl+o")
        assert app.screen.page.bare_line(0).text.startswith("▌")  # type: ignore[attr-defined]
