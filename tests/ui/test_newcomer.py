"""What somebody meets who sees the screen for the first time: its words say what its keys do."""

import pytest

from tests.ui.harness import seated

@pytest.mark.asyncio
async def test_a_notice_gives_the_keys_back_by_itself_and_is_kept() -> None:
    async with seated("calm", (80, 24)) as seat:
        await seat.press("u")
        assert "nothing to undo" in seat.footer
        await seat.pass_(6.0)
        assert "enter open" in seat.footer
        await seat.press("M")
        assert seat.has("nothing to undo")


@pytest.mark.asyncio
async def test_a_notice_that_is_cut_keeps_its_end() -> None:
    async with seated("calm", (80, 24)) as seat:
        seat.app.say("seen: " + "a-long-name" * 9 + "; u brings it back")
        assert seat.footer.startswith(" › seen: a-long")
        assert seat.footer.endswith("; u brings it back")


@pytest.mark.asyncio
async def test_what_was_seen_is_said_to_be_seen_already() -> None:
    async with seated("trouble", (80, 24)) as seat:
        await seat.press("p", "x")
        assert "seen: deployment-01" in seat.footer
        await seat.press("x")
        assert "deployment-01 is already seen" in seat.footer
