"""Each act is reachable by keyboard, described, and refused with a reason where it cannot act."""

import pytest
from msgspec.structs import replace

from swarm_tui.ui.acts import ALL
from swarm_tui.ui.desk.actions import LISTS, SCOPES, Registry, pretty
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.screens.base import SwarmScreen
from tests.ui.harness import UiDriver, open_ui

SEED_KEYS = (
    "j",
    "k",
    "up",
    "down",
    "g",
    "G",
    "enter",
    "slash",
    "escape",
    "colon",
    "question_mark",
    "a",
    "l",
    "n",
    "r",
    "R",
    "s",
    "plus",
    "minus",
    "c",
    "t",
    "y",
    "N",
    "space",
    "z",
    "w",
    "p",
    "1",
    "9",
    "tab",
    "left_square_bracket",
    "right_square_bracket",
    "f",
    "d",
    "H",
    "Y",
    "P",
    "q",
    "ctrl+q",
    "Q",
    "ctrl+p",
    "ctrl+s",
)


def test_every_act_is_described_and_reachable() -> None:
    registry = Registry(ALL)
    assert len(registry.actions) == len(ALL), "two acts share a name"
    for act in ALL:
        assert registry.keys(act.name), f"{act.name} has no key"
        assert act.label
        assert act.help.endswith((".", "!")), f"{act.name}: {act.help}"
        assert set(act.scopes) <= set(SCOPES)
        assert act.group in {"pages", "tasks", "agents", "swarm", "view", "move", "screen", "form", "time"}


def test_a_key_means_one_thing_in_one_place() -> None:
    registry = Registry(ALL)
    for key, acts in registry.bound().items():
        for scope in SCOPES:
            here = [act.name for act in acts if scope in act.scopes]
            assert len(here) <= 1, f"{key} in {scope}: {here}"


def test_the_promised_keys_exist() -> None:
    bound = Registry(ALL).bound()
    assert [key for key in SEED_KEYS if key not in bound] == []


def test_keys_that_terminals_in_tmux_cannot_send_are_not_used() -> None:
    for key in Registry(ALL).bound():
        assert key not in ("shift+enter", "ctrl+enter")
        assert not (key.startswith("ctrl+") and key[5:].isupper())
        assert "super" not in key
        assert pretty(key)


def test_a_keymap_moves_an_act_and_names_its_mistakes() -> None:
    registry = Registry(ALL, {"publish": "F5, Ctrl+N", "help": ["?", ","], "nonsense": "x", "logs": "N1", "send": "x"})
    assert registry.keys("publish") == ("f5", "ctrl+n")
    assert registry.keys("help") == ("question_mark", "comma")
    assert "n" not in registry.bound()
    assert registry.notes == [
        "keys: there is no act 'nonsense'",
        "keys: logs: there is no key 'N1'",
        "keys: send: x is text in the form",
    ]
    assert (registry.keys("logs"), registry.keys("send")) == (("l",), ("ctrl+s",))


def test_a_key_that_a_person_gives_an_act_is_that_acts_alone_where_both_could_act() -> None:
    registry = Registry(ALL, {"theme": "n", "leave": "x", "next_panel": "]"})
    acts = {key: [act.name for act in registry.bound()[key]] for key in ("n", "x", "right_square_bracket")}
    assert acts == {"n": ["theme"], "x": ["leave"], "right_square_bracket": ["next_part", "next_panel", "next_page"]}
    assert registry.notes == [
        "keys: n is the key of theme, no more of publish, which has no key now",
        "keys: x is the key of leave, no more of seen, which has no key now",
        "keys: ] is the key of next_panel, no more of next_state, which has no key now",
    ]


class Elsewhere(Context):
    """A context that says it is somewhere."""

    place = "agents"

    @property
    def scope(self) -> str:
        return self.place


@pytest.mark.asyncio
@pytest.mark.parametrize("scene", ["empty", "trouble", "lost"])
async def test_every_act_can_be_asked_everywhere(scene: str) -> None:
    async with open_ui(scene) as ui:
        assert isinstance(ui.app.screen, SwarmScreen)
        for scope in LISTS:
            context = Elsewhere(ui.app, ui.app.screen)
            context.place = scope
            for act in ALL:
                why = act.why_not(context)
                assert why is None or (len(why) > 8 and not why.endswith("None")), act.name
                if scope not in act.scopes:
                    assert why is not None
                elif why is None:
                    question = act.confirm(context)
                    assert question is None or question.endswith(("?", ".")), question


@pytest.mark.asyncio
async def test_read_only_turns_every_act_off_and_says_so() -> None:
    async with open_ui("trouble", read_only=True) as ui:
        for act in ALL:
            if not act.writes:
                continue
            context = Elsewhere(ui.app, ui.app.screen)
            context.place = act.scopes[0]
            assert "read-only" in (act.why_not(context) or ""), act.name
        await ui.press("d", "r", "s", "plus", "H", "n", "c", "t", "tab", "c", "t", "y", "N")
        assert ui.source.acts == []
        assert ui.has("read-only")


@pytest.mark.asyncio
async def test_where_no_key_is_a_persons_orders_are_off_and_tasks_are_published() -> None:
    async with open_ui("trouble") as ui:
        ui.source.facts = replace(ui.source.facts, no_orders="open it as one")
        for act in ALL:
            context = Elsewhere(ui.app, ui.app.screen)
            context.place = act.scopes[0]
            reason = act.why_not(context) or ""
            assert ("is for operators: open it as one" in reason) == (act.writes and act.order), act.name
        await ui.press("d", "r", "s", "plus", "H", "tab", "c", "t", "y", "N")
        assert ui.source.acts == []
        assert ui.has("is for operators: open it as one")
        await ui.press("n")
        assert ui.app.screen.scope == "form"


@pytest.mark.asyncio
async def test_a_key_without_effect_says_why() -> None:
    async with open_ui("calm") as ui:
        await ui.press("t")
        assert "retry works on tasks" in ui.footer
        await ui.press("tab", "t")
        assert "running" in ui.footer
        assert "only one that failed" in ui.footer


OPENS = ("agents", "tasks", "stream", "agent", "task", "wall")


@pytest.mark.asyncio
async def test_no_key_crashes_any_screen() -> None:
    async with open_ui("trouble", size=(80, 24)) as ui:
        app, pressed = ui.app, set[str]()
        for opens in OPENS:
            for act in app.registry.here(opens):
                everywhere = len(act.scopes) >= len(LISTS) and act.name in pressed
                if act.name in ("leave", "bring_down") or act.group == "move" or everywhere:
                    continue
                pressed.add(act.name)
                if not isinstance(app.screen, SwarmScreen) or app.screen.scope != opens:
                    await go(ui, opens)
                assert isinstance(app.screen, SwarmScreen), f"{opens}: {act.name}"
                app.screen.action_press(app.registry.keys(act.name)[0])
                await ui.pilot.pause()
                app.updates.drain()
        assert app.is_running


async def go(ui: UiDriver, opens: str) -> None:
    """To a panel, or to a page."""
    app = ui.app
    app.pages.to_main()
    app.main.focus_panel(opens if opens in ("agents", "tasks", "stream") else "agents")
    if opens == "wall":
        app.pages.open_wall()
    elif opens in ("agent", "task"):
        app.pages.open_agent("testing-01") if opens == "agent" else app.pages.open_task("task_d3adbf")
    await ui.pilot.pause()
