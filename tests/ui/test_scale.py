"""One more and one less, counted from what is so."""

import pytest

from swarm_tui.protocol.bodies import HostControl, Scale
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.screens.confirm import ConfirmScreen
from tests.ui.harness import Seat, seated


def counts(seat: Seat) -> list[int | None]:
    return [body.count for _, body, _ in seat.source.acts if isinstance(body, HostControl)]


@pytest.mark.asyncio
async def test_one_less_after_wishes_that_nobody_answered_is_not_more() -> None:
    async with seated("calm") as seat:
        await seat.press("5", "plus", "plus", "plus")
        assert counts(seat) == [2, 3, 4]
        seat.clock.pass_(600)
        await seat.press("minus")
        assert isinstance(seat.app.screen, ConfirmScreen)
        assert "docs: 1 → 0" in seat.app.screen.question
        await seat.press("y")
        assert counts(seat)[-1] == 0


@pytest.mark.asyncio
async def test_one_less_at_once_takes_the_wish_back_and_says_what_runs() -> None:
    async with seated("calm") as seat:
        await seat.press("5", "plus", "plus", "minus")
        assert isinstance(seat.app.screen, ConfirmScreen)
        assert "docs: 3 → 2)? 1 runs now" in seat.app.screen.question
        await seat.press("y")
        assert counts(seat) == [2, 3, 2]


@pytest.mark.asyncio
async def test_the_swarms_own_wish_ends_a_persons_and_is_no_ground_for_less() -> None:
    async with seated("calm") as seat:
        await seat.press("5", "plus")
        seat.clock.pass_(1)
        seat.source.say("task-manager-01", Kind.SCALE, Scale(desired=3), "docs")
        await seat.settle()
        await seat.press("plus")
        assert counts(seat) == [2, 4]
        seat.clock.pass_(60)
        await seat.press("minus")
        assert "docs: 1 → 0" in seat.app.screen.question  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_an_undo_brings_back_the_number_that_was() -> None:
    async with seated("calm") as seat:
        await seat.press("5", "plus")
        seat.clock.pass_(600)
        await seat.press("u")
        assert seat.has("Undo this, of 10 min ago: scale docs?")
        await seat.press("y")
        assert counts(seat) == [2, 1]
