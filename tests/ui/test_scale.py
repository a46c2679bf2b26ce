"""One more and one less, counted from what is so."""

import pytest

from swarm_tui.protocol.bodies import HostControl, Scale
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui.harness import UiDriver, open_ui


def counts(ui: UiDriver) -> list[int | None]:
    return [body.count for _, body, _ in ui.source.acts if isinstance(body, HostControl)]


@pytest.mark.asyncio
async def test_one_less_after_wishes_that_nobody_answered_is_not_more() -> None:
    async with open_ui("calm") as ui:
        await ui.press("5", "plus", "plus", "plus")
        assert counts(ui) == [2, 3, 4]
        ui.clock.pass_(600)
        await ui.press("minus")
        assert isinstance(ui.app.screen, ConfirmScreen)
        assert "docs: 1 → 0" in ui.app.screen.question
        await ui.press("y")
        assert counts(ui)[-1] == 0


@pytest.mark.asyncio
async def test_one_less_at_once_takes_the_wish_back_and_says_what_runs() -> None:
    async with open_ui("calm") as ui:
        await ui.press("5", "plus", "plus", "minus")
        assert isinstance(ui.app.screen, ConfirmScreen)
        assert "docs: 3 → 2)? 1 runs now" in ui.app.screen.question
        await ui.press("y")
        assert counts(ui) == [2, 3, 2]


@pytest.mark.asyncio
async def test_the_swarms_own_wish_ends_a_persons_and_is_no_ground_for_less() -> None:
    async with open_ui("calm") as ui:
        await ui.press("5", "plus")
        ui.clock.pass_(1)
        ui.source.say("task-manager-01", Kind.SCALE, Scale(desired=3), "docs")
        await ui.settle()
        await ui.press("plus")
        assert counts(ui) == [2, 4]
        ui.clock.pass_(60)
        await ui.press("minus")
        assert "docs: 1 → 0" in ui.app.screen.question  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_an_undo_brings_back_the_number_that_was() -> None:
    async with open_ui("calm") as ui:
        await ui.press("5", "plus")
        ui.clock.pass_(600)
        await ui.press("u")
        assert ui.has("Undo this, of 10 min ago: scale docs?")
        await ui.press("y")
        assert counts(ui) == [2, 1]
