"""Keys that come faster than what they are for opens: a slow line, a script, a hand that knows the way."""

import pytest
from textual.events import Key

from tests.ui.harness import UiDriver, open_ui


async def burst(ui: UiDriver, *keys: str) -> None:
    """All keys at once, as a read from a slow line brings them."""
    for key in keys:
        for one in key[5:] if key.startswith("text:") else [key]:
            ui.app.post_message(Key(one, one if len(one) == 1 else None))
    await ui.settle()
    await ui.settle()


@pytest.mark.asyncio
async def test_what_is_typed_after_n_is_for_the_form_and_no_act_of_the_list() -> None:
    for _ in range(2):
        async with open_ui("calm", (80, 24)) as ui:
            await burst(ui, "9", "n", "text:revi", "enter", "text:src", "tab", "tab", "text:deep")
            assert ui.has("type", "code.review")
            assert ui.has("path*", "src")
            assert ui.has("depth", "deep")
            await burst(ui, "escape")
            # The second time it is there already.
            await burst(ui, "n", "down", "text:x")
            assert ui.source.acts == []
            assert ui.app.screen is not ui.app.main


@pytest.mark.asyncio
async def test_letters_do_not_overtake_a_backspace() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await burst(ui, "n", "text:zzz", "backspace", "backspace", "backspace", "text:testing.ru", "left", "text:n")
        assert ui.app.screen.draft.type == "testing.rnu"  # type: ignore[attr-defined]


@pytest.mark.asyncio
async def test_what_was_typed_last_is_sent_too() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await burst(ui, "n", "text:code.review", "tab", "text:lib", "ctrl+s")
        assert ui.source.submitted[0][0].payload == {"path": "lib"}


@pytest.mark.asyncio
async def test_a_template_in_one_burst() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        await burst(ui, "n", "ctrl+o", "j", "enter", "ctrl+s")
        assert ui.source.submitted[0][0].payload == {"path": ".", "depth": "deep"}


@pytest.mark.asyncio
async def test_a_filter_and_a_command_in_one_burst() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        await burst(ui, "slash", "text:docs", "enter", "colon", "text:testing-01", "enter")
        assert ui.source.acts == []
        assert ui.app.main.agents.pattern in ("docs", "")
    async with open_ui("calm", (120, 40)) as ui:
        await burst(ui, "ctrl+p", "text:docs-01", "enter")
        assert ui.has("AGENT", "docs-01")


@pytest.mark.asyncio
async def test_keys_go_on_though_nobody_lets_them() -> None:
    async with open_ui("calm", (120, 40)) as ui:
        ui.app.typed_keys.hold()
        await burst(ui, "j", "j")
        assert ui.app.main.agents.cursor == 0
        ui.app.typed_keys.release()
        await ui.settle()
        assert ui.app.main.agents.cursor == 2
        ui.app.typed_keys.hold()
        assert ui.app.typed_keys.hold_timer is not None
        ui.app.typed_keys.release()
        assert not ui.app.typed_keys.holding
