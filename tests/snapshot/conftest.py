"""Keys are pressed without Textual's wait for an idle processor, which costs 40 ms each and says nothing here."""

import asyncio

import pytest
import textual.app
import textual.pilot


@pytest.fixture(autouse=True)
def brisk(monkeypatch: pytest.MonkeyPatch) -> None:
    async def brief(*_: object, **__: object) -> None:
        await asyncio.sleep(0)

    for module in (textual.app, textual.pilot):
        monkeypatch.setattr(module, "wait_for_idle", brief)
