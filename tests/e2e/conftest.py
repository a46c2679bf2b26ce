"""What the tests of supervisors share."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.supervised_swarm import Swarm


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Swarm]]:
    """Makes swarms, and ends them."""
    made: list[Swarm] = []

    def one(port: int, agents: list[dict[str, Any]], **layout: Any) -> Swarm:
        made.append(Swarm(tmp_path, port, agents, **layout))
        return made[-1]

    yield one
    for swarm in made:
        swarm.close()
