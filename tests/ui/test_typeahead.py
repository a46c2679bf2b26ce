"""Keys that come faster than what they are for opens: a slow line, a script, a hand that knows the way."""

import pytest
from textual.events import Key

from tests.ui.harness import Seat, seated


async def burst(seat: Seat, *keys: str) -> None:
    """All keys at once, as a read from a slow line brings them."""
    for key in keys:
        for one in key[5:] if key.startswith("text:") else [key]:
            seat.app.post_message(Key(one, one if len(one) == 1 else None))
    await seat.settle()
    await seat.settle()


@pytest.mark.asyncio
async def test_what_is_typed_after_n_is_for_the_form_and_no_act_of_the_list() -> None:
    for _ in range(2):
        async with seated("calm", (80, 24)) as seat:
            await burst(seat, "9", "n", "text:revi", "enter", "text:src", "tab", "tab", "text:deep")
            assert seat.has("type", "code.review")
            assert seat.has("path*", "src")
            assert seat.has("depth", "deep")
            await burst(seat, "escape")
            # The second time it is there already.
            await burst(seat, "n", "down", "text:x")
            assert seat.source.acts == []
            assert seat.app.screen is not seat.app.main


@pytest.mark.asyncio
async def test_letters_do_not_overtake_a_backspace() -> None:
    async with seated("calm", (80, 24)) as seat:
        await burst(seat, "n", "text:zzz", "backspace", "backspace", "backspace", "text:testing.ru", "left", "text:n")
        assert seat.app.screen.draft.type == "testing.rnu"  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_what_was_typed_last_is_sent_too() -> None:
    async with seated("calm", (80, 24)) as seat:
        await burst(seat, "n", "text:code.review", "tab", "text:lib", "ctrl+s")
        assert seat.source.submitted[0][0].payload == {"path": "lib"}


@pytest.mark.asyncio
async def test_a_template_in_one_burst() -> None:
    async with seated("calm", (80, 24)) as seat:
        await burst(seat, "n", "ctrl+o", "j", "enter", "ctrl+s")
        assert seat.source.submitted[0][0].payload == {"path": ".", "depth": "deep"}


@pytest.mark.asyncio
async def test_a_filter_and_a_command_in_one_burst() -> None:
    async with seated("calm", (120, 40)) as seat:
        await burst(seat, "slash", "text:docs", "enter", "colon", "text:testing-01", "enter")
        assert seat.source.acts == []
        assert seat.app.main.agents.pattern in ("docs", "")
    async with seated("calm", (120, 40)) as seat:
        await burst(seat, "ctrl+p", "text:docs-01", "enter")
        assert seat.has("AGENT", "docs-01")


@pytest.mark.asyncio
async def test_keys_go_on_though_nobody_lets_them() -> None:
    async with seated("calm", (120, 40)) as seat:
        seat.app.typed_keys.hold()
        await burst(seat, "j", "j")
        assert seat.app.main.agents.cursor == 0
        seat.app.typed_keys.release()
        await seat.settle()
        assert seat.app.main.agents.cursor == 2
        seat.app.typed_keys.hold()
        assert seat.app.typed_keys.patience is not None
        seat.app.typed_keys.release()
        assert not seat.app.typed_keys.holding
