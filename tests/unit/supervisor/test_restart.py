"""The restart policy, as a function: what it must never do, whatever happened before."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.config.model import RestartPolicy
from swarm_tui.domain import restart
from swarm_tui.domain.restart import Decision, Exit, History, decide

POLICY = RestartPolicy()
FAILED = Exit(status=1)
KILLED = Exit(signal=9)

exits = st.one_of(
    st.builds(Exit, status=st.integers(0, 255)),
    st.builds(Exit, signal=st.integers(1, 31)),
    st.just(Exit()),
    st.just(Exit(pane_lost=True)),
)
rules = st.sampled_from(["never", "on-failure", "always"])
times = st.floats(0, 1e6)
histories = st.builds(
    History,
    started_at=times,
    registered_at=st.none() | times,
    failures=st.integers(0, 1000),
    restarts=st.integers(0, 1000),
    crashes=st.lists(times, max_size=8).map(lambda at: tuple(sorted(at))),
)


@given(rules, histories, exits, times, st.floats(0, 1))
def test_a_delay_is_never_negative_nor_over_the_most(
    rule: restart.Rule, history: History, end: Exit, now: float, jitter: float
) -> None:
    decision, after = decide(POLICY, rule, history, end, now, jitter)
    assert 0 <= decision.delay <= POLICY.backoff_max
    assert after.restarts - history.restarts == (1 if decision.act == "restart" else 0)
    assert len(after.crashes) <= len(history.crashes) + 1


@given(histories, times, st.floats(0, 1))
def test_a_kill_from_outside_restarts_at_once_and_is_no_crash(history: History, now: float, jitter: float) -> None:
    decision, after = decide(POLICY, "on-failure", history, KILLED, now, jitter)
    assert (decision.act, decision.delay) == ("restart", 0.0)
    assert set(after.crashes) <= set(history.crashes)


@given(histories, exits, times)
def test_never_means_never(history: History, end: Exit, now: float) -> None:
    assert decide(POLICY, "never", history, end, now, 0.5)[0].act == "stay"


@given(histories, exits, times)
def test_always_never_stays(history: History, end: Exit, now: float) -> None:
    assert decide(POLICY, "always", history, end, now, 0.5)[0].act != "stay"


@dataclass
class Agent:
    """One agent that keeps failing, with the policy's memory of it."""

    history: History = field(default_factory=History)
    now: float = 1000.0

    def fails(self, *, after: float, registered: bool, end: Exit = FAILED) -> Decision:
        self.history = restart.started(self.history, self.now)
        if registered:
            self.history = restart.registered(self.history, self.now)
        self.now += after
        decision, self.history = decide(POLICY, "on-failure", self.history, end, self.now, 1.0)
        self.now += decision.delay
        return decision


def test_the_first_restart_is_at_once_then_the_wait_doubles_to_its_most() -> None:
    agent = Agent()
    delays = [agent.fails(after=30, registered=True).delay for _ in range(9)]
    assert delays == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_a_minute_of_health_resets_the_wait() -> None:
    agent = Agent()
    for _ in range(4):
        agent.fails(after=30, registered=True)
    assert agent.fails(after=61, registered=True).delay == 0


def test_five_quick_ends_are_a_crash_loop_and_four_are_not() -> None:
    agent = Agent()
    acts = [agent.fails(after=0.1, registered=False).act for _ in range(5)]
    assert acts == ["restart"] * 4 + ["crashloop"]


def test_ends_long_after_registering_never_are_a_crash_loop() -> None:
    agent = Agent()
    assert {agent.fails(after=11, registered=True).act for _ in range(50)} == {"restart"}


def test_quick_ends_that_are_far_apart_are_no_crash_loop() -> None:
    agent = Agent()
    for _ in range(50):
        assert agent.fails(after=0.1, registered=False).act == "restart"
        agent.now += 40


def test_an_exit_with_0_stays_ended_unless_always() -> None:
    assert decide(POLICY, "on-failure", History(), Exit(status=0), 0, 0)[0].act == "stay"
    assert decide(POLICY, "always", History(), Exit(status=0), 0, 0)[0].act == "restart"
    assert decide(POLICY, "on-failure", History(), Exit(status=0, told=True), 0, 0)[0].act == "restart"


def test_what_something_kills_as_it_starts_gets_a_pause() -> None:
    agent = Agent()
    delays = [agent.fails(after=0.01, registered=False, end=KILLED).delay for _ in range(8)]
    assert delays[:5] == [0.0] * 5
    assert set(delays[5:]) == {POLICY.backoff_first}


def test_a_segfault_is_its_own_fault_and_143_is_not() -> None:
    assert Exit(signal=11).cause == "failed"
    assert Exit(status=143).cause == "killed"
    assert Exit().cause == "unknown"
    assert Exit(pane_lost=True).cause == "killed"


@given(st.lists(times, max_size=20), st.integers(1, 60), times)
def test_a_mass_death_is_at_least_half_and_more_than_two(deaths: list[float], fleet: int, now: float) -> None:
    if restart.is_mass_death(POLICY, tuple(deaths), fleet, now):
        recent = [at for at in deaths if now - at <= 2.0]
        assert len(recent) >= 3
        assert len(recent) * 2 >= fleet


@pytest.mark.parametrize(
    ("rule", "end", "may"),
    [
        ("always", Exit(signal=9), True),
        ("on-failure", Exit(), True),
        ("on-failure", Exit(pane_lost=True), True),
        ("on-failure", Exit(status=0), False),
        ("on-failure", Exit(status=1), False),
        ("on-failure", Exit(signal=11), False),
        ("never", Exit(signal=9), False),
    ],
)
def test_only_what_comes_from_outside_can_be_the_machine(rule: restart.Rule, end: Exit, may: bool) -> None:
    assert restart.may_be_mass(rule, end) is may
