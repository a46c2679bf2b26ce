"""A person's own keys: they work, those they replace do not, and what the screen says names them."""

import string

import pytest
from textual.keys import _character_to_key

from swarm_tui.config.keynames import CHARACTERS, key_name
from swarm_tui.config.user import UserConfig
from swarm_tui.ui.keymap import types
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui.harness import seated


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
    async with seated("calm", config=config) as seat:
        await seat.press("f5")
        assert "? undoes it" in seat.footer
        await seat.press("question_mark")
        assert "undone: drain" in seat.footer
        await seat.press("slash")
        assert "asked for 2 api-gateway agents" in seat.footer
        await seat.press("ctrl+n")
        assert seat.has("HELP")


@pytest.mark.asyncio
async def test_what_a_key_is_taken_from_is_told_and_stays_quiet() -> None:
    async with seated("calm", config=UserConfig(keys={"theme": "n"})) as seat:
        assert any("no more of publish" in notice.text for notice in seat.app.notices.all)
        before = seat.app.theme
        await seat.press("n")
        assert seat.app.theme != before
        assert seat.app.screen is seat.app.main


@pytest.mark.asyncio
@pytest.mark.parametrize(("leave", "pressed", "gone"), [("x", "ctrl+q", False), ("x", "x", True), ("F10", "f10", True)])
async def test_leaving_has_the_keys_it_was_given_and_no_other(leave: str, pressed: str, gone: bool) -> None:
    async with seated("calm", config=UserConfig(keys={"leave": leave})) as seat:
        await seat.press(pressed)
        assert seat.app._exit is gone


@pytest.mark.asyncio
@pytest.mark.parametrize("over", ["n", "H", "slash", "ctrl+p"])
async def test_ctrl_q_leaves_also_over_a_question_and_a_form(over: str) -> None:
    async with seated("calm") as seat:
        await seat.press(over)
        assert over != "H" or isinstance(seat.app.screen, ConfirmScreen)
        await seat.press("ctrl+q")
        assert seat.app._exit


@pytest.mark.asyncio
async def test_the_form_names_the_keys_it_has() -> None:
    async with seated("calm", config=UserConfig(keys={"send": "F9", "raw": "F8"})) as seat:
        await seat.press("n", "r", "e", "v", "enter")
        assert seat.has("F9 sends")
        await seat.press("f8")
        assert seat.has("(F8: fields)")

    async with seated("trouble", config=UserConfig(keys={"clear": "F7"})) as seat:
        await seat.press("p")
        assert seat.has("problems, F7: all")
