"""Text from outside, however vile: no crash, no ESC reaches the terminal, columns stay aligned."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.desk.act_runner import Question
from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.look.sgr import parse, plain
from swarm_tui.ui.look.text import fit, fit_sentence, flat
from tests.ui.harness import UiDriver, open_ui

pytestmark = pytest.mark.drawn
NAUGHTY = [
    "\x1b]0;owned\x07",
    "\x1b[31mred",
    "\x1b]52;c;aGk=\x07",
    "[/foo]",
    "[bold",
    "[/",
    "[link=x]y[/link]",
    "a\x00b",
    "\x9b31m",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "表示テスト",
    "👩‍👩‍👧‍👦 family",
    "é" * 5,
    "Z̸̡̢a̵l̶g̷o",
    "\ufeffbom",
    "\u200bzero",
    "tab\there",
    "new\nline",
    "🇩🇪 flag",
    "❤️",
    "ｆｕｌｌ",
    "\u2028sep",
    "‮",
    "x" * 5000,
    "%s%n{}",
    "\\x1b",
    "'\"`$(rm)",
    "؜",
    "ﷺ",
    "\x7f",
    "\r\r\r",
]


def vile(_: object) -> str:
    """A question of nothing but what others wrote."""
    return " ".join(NAUGHTY)


def clean_lines(ui: UiDriver) -> None:
    """What would be written has no control character, and each line its width."""
    width = ui.app.size.width
    for strip in ui.app.screen._compositor.render_strips():
        for char in strip.text:
            assert ord(char) >= 0x20, repr(strip.text)
            assert not 0x7F <= ord(char) <= 0x9F, repr(strip.text)
            assert char not in "\u202e\u202d\u2066\u2069\u061c\u200b\ufeff\u2028"
        assert strip.cell_length == width
        assert sum(cell_len(segment.text) for segment in strip) == width


@pytest.mark.asyncio
@pytest.mark.parametrize("size", [(80, 24), (200, 50)])
async def test_naughty_strings_everywhere(size: tuple[int, int]) -> None:
    async with open_ui("calm", size) as ui:
        source = ui.source
        for n, text in enumerate(NAUGHTY):
            task = f"task_{n}"
            source.say(
                "x", Kind.TASK_NEW, b.Task(task_id=task, type="a.b", payload={text[:50]: text, "deep": [{"k": text}]})
            )
            source.say(
                "docs-01", Kind.TASK_PROGRESS, b.Progress(task_id=task, agent_id="docs-01", progress=5.0, message=text)
            )
            source.say(
                "docs-01", Kind.TASK_FAILED, b.Failed(task_id=task, agent_id="docs-01", error=b.ErrorInfo(message=text))
            )
            source.say("m", Kind.ALERT, b.Alert(message=text, name=f"n{n}"))
            source.raw(f"opencto-dev/{text[:30]}", msgspec.json.encode({"payload": {"text": text}, "agent_id": text}))
            source.raw("opencto-dev/tasks/new", b"\xff\x1b]0;owned\x07" + text.encode("utf-8", "replace"))
        source.say("x", Kind.HALT, b.Halt(reason=NAUGHTY[0]))
        source.panes.screens["%0"] = NAUGHTY
        source.panes.older["%0"] = NAUGHTY
        source.logs["docs-01"] = NAUGHTY
        source.link(False, NAUGHTY[0])
        await ui.settle()
        clean_lines(ui)
        source.link(True)
        await ui.settle()
        main = ui.app.main
        for keys in (
            ("tab",),
            ("enter",),
            ("G",),
            ("escape",),
            ("tab",),
            ("G", "k", "enter"),
            ("escape",),
            ("tab",),
            ("w",),
            ("w",),
            ("I",),
        ):
            await ui.press(*keys)
            clean_lines(ui)
        ui.app.pages.to_main()
        for task in ("task_0", "task_12", "task_24"):
            ui.app.pages.open_task(task)
            await ui.settle()
            clean_lines(ui)
        ui.app.pages.open_agent("docs-01")
        await ui.settle()
        clean_lines(ui)
        ui.app.pages.to_main()
        main.focus_panel("agents")
        await ui.press("slash")
        await ui.type("[/foo] (")
        clean_lines(ui)
        for text in NAUGHTY:
            ui.app.say(text)
        act = Action(name="x", keys=(), label="[/x]", help="", group="swarm", run=lambda _: None, confirm=vile)
        ui.app.pages.confirm(Question(act, main.context()), lambda: None)
        await ui.settle()
        clean_lines(ui)


def test_no_number_of_a_colour_is_too_long_to_read() -> None:
    assert plain("\x1b[" + "1" * 5000 + "mred") == "red"
    assert parse("\x1b[0000038;0005;00196mred")[1].color is not None


@given(st.text(max_size=120), st.integers(1, 100))
def test_a_sentence_fits_exactly_whatever_it_says(text: str, width: int) -> None:
    assert cell_len(fit_sentence(flat(text), width)) == width


def test_a_sentence_that_is_too_long_loses_whole_words_of_its_middle() -> None:
    said = " ✗ y: approve works on tasks, a task's page, the runs, an agent's page, the pane and the wall"
    shown = fit_sentence(said, 80).rstrip()
    assert shown == " ✗ y: approve works on tasks, a task's page, … page, the pane and the wall"
    assert set(shown.replace("…", "").split()) <= set(said.split())
    assert fit_sentence("short", 20).rstrip() == "short"


@given(st.text(max_size=60), st.integers(0, 40))
@settings(max_examples=200, deadline=None)
def test_fit_is_exact_for_any_text(text: str, width: int) -> None:
    assert cell_len(fit(flat(text), width)) == width


@given(st.text(alphabet=st.sampled_from("ab\x1b[]m0;:38521\x07P\\?hK表 \x9b\x00")))
@settings(max_examples=300, deadline=None)
def test_no_code_survives_the_pane(line: str) -> None:
    segments, _ = parse(line)
    text = "".join(segment.text for segment in segments)
    assert all(ord(c) >= 0x20 and not 0x7F <= ord(c) <= 0x9F for c in text)
    assert text == plain(line)


def test_colours_of_a_pane_are_read_and_carried_over() -> None:
    first, state = parse("\x1b[1;38;5;196mred \x1b[48;2;1;2;3mon")
    assert [s.text for s in first] == ["red ", "on"]
    assert first[0].style is not None
    assert first[0].style.bold
    second, state = parse("still\x1b[0m plain", state)
    assert second[0].style is not None
    assert second[0].style.bgcolor is not None
    assert second[1].style is not None
    assert not second[1].style.bold
