"""Usage, sessions and budgets: derived from the journaled attempts, so that no crash loses or counts twice."""

from typing import Any

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import given, settings

from swarm_tui.domain.dispatch import DispatchSettings, Job
from swarm_tui.domain.dispatch.metering import cost_of, reserved, spent, take_in, today, total
from swarm_tui.domain.dispatch.model import Say
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.usage import Budget
from swarm_tui.protocol.bodies import Progress
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.dispatch.world import RULES, World, offers

#: What a turn may cost beyond what was left, in the random runs.
TURN = 0.5


def budgeted(**limits: float) -> World:
    return World(DispatchSettings(rules=RULES, budget=Budget(**limits), costly=frozenset({"noop"})))


def crash(world: World) -> None:
    """Begin anew from the journal alone, as the engine does."""
    world.crash()
    for row in world.journal.values():
        take_in(world.state, msgspec.msgpack.decode(row, type=Job))


def progress(
    world: World, offer: Say, cost: float | None, session: str | None = None, turn: int = 1, usage: Any = None
) -> list[Say]:
    body: Any = offer.body
    if usage is None:
        usage = {"tokens_in": 100, "tokens_out": 10, **({} if cost is None else {"cost": cost})}
    return world.hear(
        Kind.TASK_PROGRESS,
        Progress(
            task_id=body.task_id, agent_id=offer.key, attempt=body.attempt, epoch=body.epoch, progress=1.0,
            usage=usage, session=session, turn=turn,
        ),
        sender=offer.key,
    )  # fmt: skip


def test_an_attempts_usage_and_session_are_journaled_as_they_go() -> None:
    world = World()
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, 0.25, session="s-1", turn=3)
    world.crash()
    attempt = world.job("t1").current
    assert attempt is not None
    assert (attempt.session, attempt.turn, attempt.usage["cost"]) == ("s-1", 3, 0.25)


def test_the_next_attempt_is_told_where_the_last_one_left_off() -> None:
    world = World()
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    assert offer.body.resume is None  # type: ignore[union-attr]
    progress(world, offer, 0.25, session="s-1")
    began = world.job("t1").attempts[0].offered_at
    again = offers(world.fail(offer, cause="interrupted", message="its agent was told to stop"))
    (offer,) = again or offers(world.tick(30.0))
    assert offer.body.resume == {  # type: ignore[union-attr]
        "session": "s-1", "task_id": "t1", "why": "its agent was told to stop", "cost": 0.25, "summary": "",
        "began": began,
    }  # fmt: skip


def test_a_conversation_that_is_full_is_not_gone_on_with_but_told_of() -> None:
    world = World()
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, 0.25, session="s-1")
    world.fail(offer, retryable=False, code="context-full", result={"text": "I have read it all."})
    (offer,) = offers(world.act(Kind.TASK_REDRIVE, "t1"))
    assert offer.body.resume == {  # type: ignore[union-attr]
        "task_id": "t1", "why": "boom", "cost": 0.0, "summary": "I have read it all.",
    }  # fmt: skip


def test_a_usage_limit_is_waited_for_until_its_reset_whoever_dies_meanwhile() -> None:
    world = World()
    world.agent("a1")
    (offer,) = offers(world.submit("t1", max_attempts=1))
    reset = world.wall + 4 * 3600
    world.fail(offer, code="quota", retry_at=reset)
    job = world.job("t1")
    assert (job.state, job.tries) == (TaskState.RETRY_WAIT, 0), "a limit is no fault of the task's"
    world.crash()
    world.wall += 60.0  # Somebody sets the clock: a time of day stays what it is.
    world.tick(1.0)
    assert reset <= (world.job("t1").retry_at or 0.0) <= reset + 20.0
    world.agent("a1")
    world.now, world.wall = world.now + 3 * 3600, world.wall + 3 * 3600
    assert not offers(world.tick(1.0))
    world.now, world.wall = world.now + 3600, world.wall + 3600
    world.agent("a1", incarnation="i2")
    assert offers(world.tick(30.0))


@pytest.mark.parametrize("at", [None, -1e9, 0.0, 2.0])
def test_a_limit_whose_reset_is_not_known_or_near_is_tried_again_as_any_failure(at: float | None) -> None:
    world = World()
    world.agent("a1")
    (offer,) = offers(world.submit("t1", max_attempts=2))
    world.fail(offer, code="quota", retry_at=None if at is None else world.wall + at)
    job = world.job("t1")
    assert (job.state, job.tries, job.resets) == (TaskState.RETRY_WAIT, 1, False)


def test_a_task_may_go_on_with_anothers_conversation() -> None:
    world = World()
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, None, session="s-1")
    world.complete(offer, result={"cli": "codex"})
    (offer,) = offers(world.submit("t2", payload={"resume": "t1"}))
    began = world.job("t1").attempts[0].offered_at
    assert offer.body.resume == {  # type: ignore[union-attr]
        "session": "s-1", "task_id": "t1", "why": "", "cost": None, "summary": "", "began": began, "cli": "codex",
    }  # fmt: skip


def test_a_cost_that_is_not_known_makes_the_sum_unknown_and_counts_as_all_that_was_reserved() -> None:
    world = budgeted(day=10.0)
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, None)
    world.complete(offer)
    job = world.job("t1")
    assert total(job).cost is None
    assert "cost" not in job.usage
    assert spent(world.state, world.wall) == (pytest.approx(1.0), pytest.approx(1.0)), "a tenth of the day was reserved"


def test_a_conversation_that_was_cut_off_took_more_than_it_told() -> None:
    world = budgeted(day=10.0)
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, None, session="s-1", usage={})
    world.tick(300.0)
    job = world.job("t1")
    assert job.attempts[0].outcome == "lost"
    assert job.usage == {"tokens_in": 0, "tokens_out": 0, "tokens_cached": 0, "tokens": 0, "partial": True}
    assert spent(world.state, world.wall)[0] == pytest.approx(1.0), "all that was reserved for it"
    assert today(world.state, world.wall).unpriced == 1
    world.agent("a1")
    world.tick(60.0)
    offer = offers(world.said)[-1]
    assert offer.body.resume["cost"] == 0.0  # type: ignore[union-attr,index]
    assert offer.body.resume["cut_off"] is True  # type: ignore[union-attr,index]
    assert "owed" in offer.body.resume  # type: ignore[union-attr,operator]
    # The session's log has in it what the first attempt took.
    progress(world, offer, 0.25, session="s-1", usage={"tokens_in": 10, "cost": 0.25, "settles": "s-1"})
    world.complete(offer)
    assert (total(job).cost, total(job).partial) == (0.25, False)
    assert spent(world.state, world.wall)[0] == pytest.approx(0.25)
    assert today(world.state, world.wall).unpriced == 0


def test_what_a_clis_next_process_says_of_its_session_is_held_against_what_its_last_one_said() -> None:
    """One that was killed in its turn told the next nothing, however that turn was paid for since."""
    world = World()
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, None, session="s", usage={"tokens_in": 10, "cost": 0.5, "session_cost": 0.5})
    progress(world, offer, None, session="s", usage={"tokens_in": 20, "cost": 0.9, "session_cost": 0.5, "logged": True})
    world.tick(300.0)
    world.agent("a1", incarnation="i2")
    world.tick(30.0)
    offer = offers(world.said)[-1]
    assert offer.body.resume["cost"] == 0.5  # type: ignore[union-attr,index]
    assert offer.body.resume["known_cost"] == 0.9  # type: ignore[union-attr,index]


def killed(world: World, task_id: str, usage: dict[str, Any]) -> Say:
    """A task whose first attempt said that and died; the offer of the next, or of the last."""
    (offer,) = offers(world.submit(task_id))
    progress(world, offer, None, session=f"s-{task_id}", usage=usage)
    world.tick(300.0)
    world.agent("a1")
    world.tick(5.0)
    return offers(world.said)[-1]


def test_a_conversation_that_was_killed_goes_on_within_its_tasks_budget_once_its_log_is_read() -> None:
    world = budgeted(task=2.0)
    world.agent("a1")
    offer = killed(world, "t1", {"tokens_in": 10, "cost": 0.5, "logged": True})
    body: Any = offer.body
    assert (body.attempt, body.budget, body.resume["owed"], body.resume["tokens_in"]) == (2, 1.5, True, 10)
    progress(world, offer, None, session="s-t1", usage={"tokens_in": 90, "cost": 0.7, "settles": "s-t1"})
    (offer,) = offers(world.fail(offer, cause="interrupted"))
    assert offer.body.budget == pytest.approx(0.8), "what is left of it"  # type: ignore[union-attr]
    assert (total(world.job("t1")).cost, total(world.job("t1")).partial) == (1.2, False)


def test_a_conversation_whose_log_nobody_could_read_is_held_with_the_keys_that_help() -> None:
    world = budgeted(task=2.0)
    world.agent("a1")
    offer = killed(world, "t1", {"logged": True})
    world.fail(offer, code="unpaid")
    world.agent("a1")
    world.tick(20.0)
    job = world.job("t1")
    assert job.state is TaskState.HELD
    for words in ("attempt 1", "no log of its session could be read", "`t` or `retry t1`", "`c` or `cancel t1`"):
        assert words in job.reason, job.reason
    world.agent("a1")
    world.act(Kind.TASK_REDRIVE, "t1")
    body: Any = offers(world.said)[-1].body
    assert (body.attempt, body.budget, body.resume["owed"]) == (3, 2.0, False)


def test_a_conversation_without_a_log_is_held_at_once() -> None:
    world = budgeted(task=2.0)
    world.agent("a1")
    killed(world, "t2", {})
    assert world.job("t2").state is TaskState.HELD
    world.agent("a1")
    world.act(Kind.TASK_REDRIVE, "t2")
    body: Any = offers(world.said)[-1].body
    assert (body.task_id, body.attempt, body.budget) == ("t2", 2, 2.0)


def test_a_call_that_was_under_way_counts_in_the_budget_and_not_in_the_cost() -> None:
    world = budgeted(task=2.0)
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    usage = {"tokens_in": 10, "cost": 0.5, "partial": True, "unsure": 0.25, "logged": True}
    progress(world, offer, None, session="s", usage=usage)
    (offer,) = offers(world.fail(offer, cause="interrupted"))
    assert offer.body.budget == pytest.approx(1.25)  # type: ignore[union-attr]
    assert total(world.job("t1")).cost == 0.5


def test_a_cost_by_price_settles_nothing_of_what_was_cut_off() -> None:
    world = budgeted(day=10.0)
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, None, session="s-1", usage={})
    world.tick(300.0)
    world.agent("a1")
    world.tick(60.0)
    offer = offers(world.said)[-1]
    progress(world, offer, 0.25, session="s-1")
    world.complete(offer)
    assert total(world.job("t1")).cost is None
    assert spent(world.state, world.wall)[0] == pytest.approx(1.25)


def test_what_would_pass_the_budget_is_held_with_a_sentence() -> None:
    world = budgeted(day=1.0)
    world.agent("a1", capacity=3)
    (offer,) = offers(world.submit("t1", payload={"max_cost": 0.8}))
    assert offer.body.budget == pytest.approx(0.8)  # type: ignore[union-attr]
    (second,) = offers(world.submit("t2", payload={"max_cost": 0.8}))
    assert second.body.budget == pytest.approx(0.2), "what is left besides the reservation"  # type: ignore[union-attr]
    assert offers(world.submit("t3")) == []
    assert world.job("t3").state is TaskState.HELD
    assert "the budget of the day is used up: $0.0000 is spent and $1.0000 reserved of $1" in world.job("t3").reason
    progress(world, offer, 0.1)
    world.complete(offer)
    (third,) = offers(world.act(Kind.TASK_REDRIVE, "t3"))
    assert 0 < third.body.budget <= 0.7  # type: ignore[operator,union-attr]


@pytest.mark.parametrize("of", ["task", "day", "month"])
def test_a_budget_of_nothing_lets_nothing_begin_and_other_types_go_on(of: str) -> None:
    world = budgeted(**{of: 0.0})
    world.agent("a1")
    world.submit("t1")
    assert world.job("t1").state is TaskState.HELD
    world.agent("sec", role="security")
    assert offers(world.submit("s1", "security.scan"))


def test_a_task_that_takes_more_than_it_was_given_is_stopped() -> None:
    world = budgeted(task=0.5)
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, 0.6)
    assert "it took $0.6000, more than the $0.5000" in (world.job("t1").cancelling or "")


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("submit"), st.floats(0.01, 3.0)),
        st.tuples(st.just("spend"), st.integers(0, 50).map(lambda cents: cents / 100)),
        st.tuples(st.just("end"), st.booleans()),
        st.tuples(st.just("crash")),
        st.tuples(st.just("pass"), st.floats(0.5, 40.0)),
    ),
    max_size=40,
)


@settings(max_examples=examples(80), deadline=None)
@given(STEPS, st.floats(0.2, 4.0))
def test_no_crash_loses_a_cent_and_each_attempt_passes_its_part_by_a_turn_at_most(
    steps: list[tuple[Any, ...]], day: float
) -> None:
    world = budgeted(day=day)
    world.agent("a1", capacity=3)
    billed: dict[tuple[str, int], float] = {}
    open_offers: dict[str, Say] = {}
    names = iter(f"t{n}" for n in range(1000))

    def take(says: list[Say]) -> None:
        for offer in offers(says):
            open_offers[offer.body.task_id] = offer  # type: ignore[union-attr,index]

    for step in steps:
        open_offers = {name: offer for name, offer in open_offers.items() if _runs(world, name, offer)}
        match step:
            case ("submit", wish):
                take(world.submit(next(names), payload={"max_cost": wish}))
            case ("spend", cost) if open_offers:
                name, offer = next(iter(open_offers.items()))
                key, allowed = (name, offer.body.attempt), offer.body.budget  # type: ignore[union-attr]
                # The worker ends a turn that passed what it was given; no turn begins after that.
                if billed.get(key, 0.0) <= allowed:
                    billed[key] = billed.get(key, 0.0) + cost
                    take(progress(world, offer, billed[key]))
            case ("end", well) if open_offers:
                name, offer = next(iter(open_offers.items()))
                take(world.complete(offer) if well else world.fail(offer, cause="interrupted"))
            case ("crash",):
                crash(world)
            case ("pass", seconds):
                take(world.tick(seconds))
    assert spent(world.state, world.wall)[0] == pytest.approx(sum(billed.values()))
    attempts = [attempt for name in world.journal for attempt in world.job(name).attempts]
    assert sum(map(cost_of, attempts)) == pytest.approx(sum(billed.values()))
    assert sum(billed.values()) <= day + TURN * max(1, len(billed)) + 1e-6
    for name, offer in open_offers.items():
        if _runs(world, name, offer):
            world.complete(offer)
    for name in world.journal:
        if world.job(name).state not in (TaskState.COMPLETE, TaskState.HELD):
            world.act(Kind.TASK_CANCEL, name)
    world.tick(60.0)
    assert reserved(world.state) == 0.0


def _runs(world: World, name: str, offer: Say) -> bool:
    current = world.job(name).current
    return current is not None and not current.outcome and current.number == offer.body.attempt  # type: ignore[union-attr]


def test_the_days_usage_counts_each_attempt_once_whatever_dies() -> None:
    world = budgeted(day=5.0)
    world.agent("a1", capacity=2)
    (one,) = offers(world.submit("t1"))
    (two,) = offers(world.submit("t2"))
    progress(world, one, 0.25)
    progress(world, one, 0.5)
    progress(world, two, None)
    before = today(world.state, world.wall)
    assert (before.cost, before.unpriced) == (0.5, 1)
    assert before.money == "$0.50 and 1 unknown"
    assert before.budget is not None
    assert before.budget["day"] == 5.0
    world.crash()
    for raw in world.journal.values():
        take_in(world.state, msgspec.msgpack.decode(raw, type=Job))
    assert today(world.state, world.wall).cost == 0.5
    progress(world, one, 0.75)
    progress(world, two, 0.1)
    after = today(world.state, world.wall)
    assert (after.cost, after.unpriced) == (0.85, 0), "the other told its cost in the end"
    assert today(world.state, world.wall + 86_400).money == "$0.00"
