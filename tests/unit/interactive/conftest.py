"""A small CLI of ours in an agent's pane, with a person at the terminal."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.interactive import screen, screen_state, turn
from tests.screen_desk import Desk


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    made: list[Desk] = []

    # A person who types is left alone for seconds, and so is a CLI that has ended.
    monkeypatch.setattr(turn, "TYPING", 0.3)
    monkeypatch.setattr(turn, "LOG_EVERY", 0.1)
    monkeypatch.setattr(screen_state, "LOG_EVERY", 0.1)
    monkeypatch.setattr(screen, "PAUSES", (0.1, 0.2))

    def desk(**way: Any) -> Desk:
        monkeypatch.setenv("SCREEN_CLI_HOME", str(tmp_path / "home"))
        made.append(Desk(tmp_path, **way))
        made[-1].screen.start()
        return made[-1]

    yield desk
    for one in made:
        one.close()


@pytest.fixture
def desk(make: Callable[..., Desk]) -> Desk:
    return make()
