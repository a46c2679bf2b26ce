"""What is left of a swarm without a plan."""

import pytest

from swarm_tui.config.paths import StateDir, state_dir
from swarm_tui.supervisor import leftovers, locks
from swarm_tui.supervisor.leftovers import plan_of_leftovers


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> StateDir:
    monkeypatch.setattr(leftovers, "_panes", lambda swarm, running: ("", []))
    found = state_dir("gone")
    found.root.mkdir(parents=True)
    return found


def test_a_lock_of_our_own_is_no_sign_of_life(state: StateDir) -> None:
    said: list[str] = []
    held = locks.take(state.lock("_swarm"))
    assert held is not None
    try:
        assert plan_of_leftovers("gone", state, said.append) is None
    finally:
        locks.release(held)
    assert said == []


def test_the_lock_of_another_process_is_one(state: StateDir, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    locks.release(locks.take(state.lock("_swarm")) or 0)
    monkeypatch.setattr(locks, "holders", lambda path: [1])
    assert plan_of_leftovers("gone", state, said.append) is not None
    assert "cannot be read" in said[0]
