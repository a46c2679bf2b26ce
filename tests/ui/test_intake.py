"""What comes is taken in, in portions and also while another program has the terminal; each message counts once."""

import threading
from contextlib import nullcontext
from typing import Any

import pytest

from swarm_tui.ui.live.live_source import LiveSource, NoPanes
from swarm_tui.ui.model.source import MOST, Item
from tests.ui import scenes
from tests.ui.fake import Clock
from tests.ui.harness import UiDriver, open_ui


def storm(ui: UiDriver, rounds: int) -> int:
    for _ in range(rounds):
        scenes.beat(ui.source, ui.clock, ui.clock())
    return rounds * len(scenes.AGENTS)


class Person:
    """Who is attached; leaves when the screen has taken in what came."""

    def __init__(self, ui: UiDriver, fails: Exception | None = None) -> None:
        self._ui, self._fails = ui, fails
        self._taken = threading.Event()
        self._take = ui.source.take
        self.came = 0
        self.thread: threading.Thread | None = None
        ui.source.take = self._counted  # type: ignore[method-assign]
        ui.source.panes.attach = self.attach  # type: ignore[method-assign]
        ui.app.suspend = nullcontext  # type: ignore[method-assign,assignment]

    def _counted(self) -> list[Item]:
        if self._fails is not None and self.came:
            fails, self._fails = self._fails, None
            raise fails
        items = self._take()
        if not items:
            self._taken.set()
        return items

    def attach(self, pane: str) -> int:
        self.thread = threading.current_thread()
        scenes.task(self._ui.source, self._ui.clock, "task_while", "testing.run", end="approve", error="asks")
        self.came = storm(self._ui, 600)
        self._taken.clear()
        assert self._taken.wait(10.0)
        return 0


@pytest.mark.asyncio
async def test_what_comes_while_attached_is_known_and_shown_afterwards() -> None:
    async with open_ui("calm") as ui:
        before, person = ui.app.model.received, Person(ui)
        await ui.press("a")
        assert person.thread is not threading.main_thread()
        assert ui.app.model.received >= before + person.came
        assert not ui.source.items
        assert ui.has("approve?", "task_while")
        assert "back from api-gateway-01" in ui.footer


@pytest.mark.asyncio
async def test_what_fails_while_attached_leaves_the_screen_alive_and_is_told() -> None:
    async with open_ui("calm") as ui:
        Person(ui, ValueError("odd"))
        await ui.press("a")
        assert "not all that came meanwhile was taken in: odd" in ui.footer
        assert ui.has("approve?", "task_while")


@pytest.mark.asyncio
async def test_one_look_takes_only_so_much_and_the_rest_follows() -> None:
    async with open_ui("calm") as ui:
        before, came = ui.app.model.received, storm(ui, 600)
        assert came > 2 * MOST
        assert ui.app.updates.fold() is not None
        assert ui.app.model.received == before + MOST
        await ui.settle()
        assert ui.app.model.received == before + came


def test_the_real_source_gives_portions_in_order() -> None:
    operator: Any = None
    source = LiveSource(operator, scenes.build(Clock()).facts, NoPanes(), None, None)
    given: list[Any] = list(range(MOST + 3))
    source._sieve._items.extend(given)
    first = source.take()
    assert (len(first), source.waiting()) == (MOST, True)
    assert first + source.take() == given
    assert not source.waiting()
