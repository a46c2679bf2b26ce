"""Scaling never leaves what the layout, the fleet's cap and the memory allow."""

from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.domain.scaling import SPARE_MEMORY, RoleCount, Scaling, scale

MB = 1024 * 1024


def step(
    agent_panes: RoleCount, desired: int, *, asked: bool = False, now: float = 100.0, fleet: int = 5, left: int = 4096
) -> Scaling:
    return scale(
        agent_panes, desired, now=now, fleet=fleet, cap=8, memory_left=left * MB, agent_memory=50 * MB, asked=asked
    )


def agent_panes(
    running: int, *, idle: tuple[str, ...] = (), crashing: bool = False, last_down: float | None = None
) -> RoleCount:
    return RoleCount(role="testing", low=1, high=4, running=running, idle=idle, crashing=crashing, last_down=last_down)


@given(st.integers(0, 6), st.integers(-5, 50), st.integers(0, 20), st.integers(0, 4096))
def test_up_stays_within_max_cap_and_memory(running: int, desired: int, fleet: int, left: int) -> None:
    found = step(agent_panes(running), desired, fleet=fleet, left=left)
    if found.up:
        assert running + found.up <= 4
        assert fleet + found.up <= 8
        assert found.up * 50 * MB + SPARE_MEMORY <= left * MB
    assert not (found.up and found.down)


def test_a_crashing_role_gets_no_more() -> None:
    assert step(agent_panes(1, crashing=True), 3).up == 0


def test_down_takes_only_the_idle_one_a_minute() -> None:
    assert step(agent_panes(3), 1).down is None
    assert step(agent_panes(3, idle=("b",)), 1).down == "b"
    assert step(agent_panes(3, idle=("b",), last_down=50.0), 1).down is None
    assert step(agent_panes(3, idle=("b",), last_down=50.0), 1, asked=True).down == "b"
    assert step(agent_panes(3, idle=("b",), last_down=39.0), 1).down == "b"


def test_never_below_the_min() -> None:
    assert step(agent_panes(1, idle=("a",)), 0).down is None


def test_what_limits_is_said() -> None:
    assert "layout" in step(agent_panes(4), 9).reason
    assert "cap" in step(agent_panes(1), 4, fleet=7).reason
    assert "memory" in step(agent_panes(1), 4, left=280).reason
