"""A person's own keys: they work, those they replace do not, and what the screen says names them."""

import re
import string

import pytest
from textual.keys import _character_to_key

from swarm_tui.config.keynames import CHARACTERS, key_name
from swarm_tui.config.user import UserConfig
from swarm_tui.domain.states import AgentState, TaskState
from swarm_tui.protocol.bodies import HostStatus
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.acts import ALL
from swarm_tui.ui.desk.actions import pretty
from swarm_tui.ui.desk.keymap import types
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui.harness import open_ui


def test_characters_have_the_names_that_textual_gives_them() -> None:
    assert {each: key_name(each) for each in string.punctuation} == {
        each: _character_to_key(each) for each in string.punctuation
    }
    assert all(types(name) for name in CHARACTERS)
    assert not any(types(name) for name in ("up", "f5", "ctrl+n", "escape", "tab"))


@pytest.mark.parametrize(
    ("text", "name"),
    [("F5", "f5"), ("Ctrl+N", "ctrl+n"), ("Ctrl-N", "ctrl+n"), ("^N", "ctrl+n"), ("^", "circumflex_accent"),
     ("ctrl++", "ctrl+plus"), ("shift+n", "N"), ("Shift+Tab", "shift+tab"), ("Esc", "escape"), ("Return", "enter"),
     ("PgDn", "pagedown"), ("space", "space"), (" ", "space"), ("N", "N"), ("ö", "ö"), ("alt+Ctrl+x", "alt+ctrl+x"),
     ("Ctrl+I", "tab"), ("question_mark", "question_mark"), ("N1", None), ("f99", None), ("", None), ("ctrl+", None)],
)  # fmt: skip
def test_keys_as_people_write_them(text: str, name: str | None) -> None:
    assert key_name(text) == name


@pytest.mark.asyncio
async def test_keys_of_ones_own_work_and_are_named() -> None:
    config = UserConfig(keys={"drain": "F5", "undo": "?", "help": "Ctrl+N", "scale_up": "/", "filter": "+"})
    async with open_ui("calm", config=config) as ui:
        await ui.press("f5")
        assert "? undoes it" in ui.footer
        await ui.press("question_mark")
        assert "undone: drain" in ui.footer
        await ui.press("slash")
        assert "asked for 2 api-gateway agents" in ui.footer
        await ui.press("ctrl+n")
        assert ui.has("HELP")


@pytest.mark.asyncio
async def test_what_a_key_is_taken_from_is_told_and_stays_quiet() -> None:
    async with open_ui("calm", config=UserConfig(keys={"theme": "n"})) as ui:
        assert any("no more of publish" in notice.text for notice in ui.app.notices.all)
        before = ui.app.theme
        await ui.press("n")
        assert ui.app.theme != before
        assert ui.app.screen is ui.app.main


@pytest.mark.asyncio
@pytest.mark.parametrize(("leave", "pressed", "gone"), [("x", "ctrl+q", False), ("x", "x", True), ("F10", "f10", True)])
async def test_leaving_has_the_keys_it_was_given_and_no_other(leave: str, pressed: str, gone: bool) -> None:
    async with open_ui("calm", config=UserConfig(keys={"leave": leave})) as ui:
        await ui.press(pressed)
        assert ui.app._exit is gone


@pytest.mark.asyncio
@pytest.mark.parametrize("over", ["n", "H", "slash", "ctrl+p"])
async def test_ctrl_q_leaves_also_over_a_question_and_a_form(over: str) -> None:
    async with open_ui("calm") as ui:
        await ui.press(over)
        assert over != "H" or isinstance(ui.app.screen, ConfirmScreen)
        await ui.press("ctrl+q")
        assert ui.app._exit


@pytest.mark.asyncio
async def test_the_form_names_the_keys_it_has() -> None:
    async with open_ui("calm", config=UserConfig(keys={"send": "F9", "raw": "F8"})) as ui:
        await ui.press("n", "r", "e", "v", "enter")
        assert ui.has("F9 sends")
        await ui.press("f8")
        assert ui.has("(F8: fields)")

    async with open_ui("lost", config=UserConfig(keys={"clear": "F7"})) as ui:
        await ui.press("p")
        assert ui.has("F7 shows all")


KEYS = [*string.ascii_lowercase, *string.digits]
FREE = [*(f"{held}+{key}" for held in ("alt", "alt+ctrl") for key in KEYS), *(f"shift+f{n}" for n in range(1, 25))]
ODD = {act.name: key for act, key in zip(ALL, FREE, strict=False)}
"""Each act on a key that it does not come with."""
NO_KEYS = {"a", "A", "h", "tab", "End", "Home", "^U", *"←→?/-+*<>:{}0123456789"}
OLD = {pretty(key) for act in ALL for key in act.keys} - NO_KEYS
"""The keys that acts come with, as they would stand in a sentence; without those that are words or glyphs too, and the
one that clears a line that is typed in, whatever acts have."""
HAND = {"↑", "↓", "enter", "y", "n"}
"""Keys of a line in which one types and of a question, which no keymap moves."""


def old_keys(lines: list[str], *, typing: bool = False) -> set[str]:
    """The old keys that the lines name."""
    words = {word.strip(".,;:()") for line in lines for word in re.sub(r"\d s\b|prefix d\b", "", line).split()}
    shown = (words & OLD) - (HAND if typing else set())
    return shown | {text for text in ("(a)", "a attaches", "/ searches") if any(text in line for line in lines)}


@pytest.mark.asyncio
async def test_no_page_names_a_key_that_was_taken_from_its_act() -> None:
    async with open_ui("trouble", (160, 50), config=UserConfig(keys=ODD)) as ui:
        assert ui.app.registry.notes == []
        app, panes, agents = ui.app, ui.source.panes, ui.app.model.fleet.agents

        async def glyphs(name: str, *, typing: bool = False) -> None:
            await ui.settle()
            assert old_keys(ui.text(), typing=typing) == set(), name

        app.pages.open_agent("testing-01")
        for state in AgentState:
            agents["testing-01"].state = state
            app.updates.tick()
            await glyphs(f"agent {state}")
        app.pages.to_main()
        app.pages.open_task("task_77aa01")
        for each in TaskState:
            app.model.fleet.tasks["task_77aa01"].state = each
            app.screen.renew()  # type: ignore[attr-defined]
            await glyphs(f"task {each}")
        app.pages.to_main()
        for act in ("logs", "help", "notices", "refused", "wall", "problems", "pause", "zoom"):
            app.main.act(act)
            await glyphs(act)
            if act != "wall":
                app.main.act(act) if act in ("problems", "zoom") else app.pages.to_main()
                continue
            app.screen.act("open")  # type: ignore[attr-defined]
            await ui.settle()
            app.screen.lines.tail = False  # type: ignore[attr-defined]
            await glyphs("a zoomed tile that is held")
            app.pages.to_main()
        for panel in ("agents", "tasks", "stream", "pane"):
            app.main.focus_panel(panel)
            if panel in ("stream", "pane"):
                app.main.lines.tail = False  # type: ignore[union-attr]
            await glyphs(f"{panel} held")
            app.main.set_filter("nothing has this")
            await glyphs(f"{panel} filtered")
            app.main.act("clear")
        app.main.focus_panel("tasks")
        app.main.tasks.set_tab(3)
        await glyphs("a tab")
        app.main.focus_panel("agents")
        app.main.act("halt")
        await glyphs("confirm", typing=True)
        assert isinstance(app.screen, ConfirmScreen)
        await ui.press("n")
        for open_, name in ((app.pages.open_palette, "palette"), (app.pages.open_form, "form")):
            open_()
            await glyphs(name, typing=True)
            await ui.press("q", "q", "q")
            await glyphs(f"{name}, typed", typing=True)
            app.pages.to_main()
        panes.reason = None
        agents["testing-01"].state = AgentState.ONLINE
        agents["testing-01"].host = "far"
        host = HostStatus(panes=[], session="x", socket="x", pid=1, address="farbox")
        ui.source.say("supervisor:far", Kind.HOST_STATUS, host, "far")
        await ui.settle()
        app.main.agents.select("testing-01")
        await glyphs("a pane of another host")
        app.restarts.expect([agents["docs-01"]], ui.clock() - 100)
        app.updates.tick()
        await glyphs("one that is not back")


@pytest.mark.asyncio
async def test_a_dialog_closes_by_the_key_that_goes_back() -> None:
    async with open_ui("calm", config=UserConfig(keys={"back": "F7", "palette": "F6", "template": "F5"})) as ui:
        for opens, closes in (("s", "f7"), ("f6", "f7"), ("f6", "f6"), ("f6", "escape")):
            await ui.press(opens)
            assert "F7 " in ui.footer
            await ui.press(closes)
            assert ui.app.screen is ui.app.main
        await ui.press("n", "f5")
        assert ui.has("this folder")
        await ui.press("f5")
        assert not ui.has("this folder")
