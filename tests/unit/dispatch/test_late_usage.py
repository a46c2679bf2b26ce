"""What a killed attempt took is told once: by the next attempt, or by whoever reads its log when none follows."""

from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from swarm_tui.domain.dispatch import DispatchSettings
from swarm_tui.domain.dispatch.metering import spent, today, total
from swarm_tui.domain.dispatch.model import Say
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.usage import Budget
from swarm_tui.protocol.bodies import AttemptUsage, Inbox
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.dispatch.test_metering import budgeted, crash, progress
from tests.unit.dispatch.world import RULES, World, offers


def late(world: World, body: Any, usage: dict[str, Any], sender: str = "a1", **more: Any) -> bool:
    """Say what the log of an attempt has; whether that is acknowledged."""
    said = {"session": "s", "worker": "a1", "attempt": body.attempt, "epoch": body.epoch} | more
    message = AttemptUsage(task_id=body.task_id, agent_id=sender, usage=usage, **said)
    told = world.hear(Kind.TASK_USAGE, message, sender=sender)
    return any(isinstance(say.body, Inbox) and say.body.command == "ack" and say.key == sender for say in told)


def cut_off(world: World, usage: dict[str, Any], *, cancelled: bool = False) -> Any:
    """A task whose attempt said that and died; the attempt's offer."""
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, None, session="s", usage=usage)
    if cancelled:
        world.act(Kind.TASK_CANCEL, "t1")
    world.tick(300.0)
    return offer.body


def test_what_a_killed_attempt_took_counts_though_none_follows() -> None:
    world = budgeted(day=10.0)
    world.agent("a1")
    body = cut_off(world, {"tokens_in": 100, "logged": True}, cancelled=True)
    assert (total(world.job("t1")).cost, today(world.state, world.wall).unpriced) == (None, 1)
    assert late(world, body, {"tokens_in": 300, "cost": 0.3})
    job = world.job("t1")
    assert (total(job).tokens_in, total(job).cost, total(job).partial) == (300, 0.3, False)
    assert (spent(world.state, world.wall)[0], today(world.state, world.wall).unpriced) == (pytest.approx(0.3), 0)
    assert late(world, body, {"tokens_in": 900, "cost": 0.9}, sender="a2"), "another has read the same: once is enough"
    crash(world)
    assert spent(world.state, world.wall)[0] == pytest.approx(0.3)


def test_of_an_attempt_that_is_open_it_is_said_again() -> None:
    world = budgeted(day=10.0)
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, 0.1, session="s")
    assert not late(world, offer.body, {"tokens_in": 300, "cost": 0.3})
    assert total(world.job("t1")).cost == 0.1


def test_a_task_that_is_held_for_want_of_a_log_goes_on_once_its_host_has_read_it() -> None:
    world = budgeted(task=2.0)
    world.agent("a1")
    (offer,) = offers(world.submit("t1"))
    progress(world, offer, None, session="s", usage={"tokens_in": 1, "logged": True})
    world.tick(300.0)
    world.agent("a2")
    world.tick(5.0)
    elsewhere = offers(world.said)[-1]
    world.fail(elsewhere, code="unpaid")
    world.tick(20.0)
    assert world.job("t1").state is TaskState.HELD
    world.agent("a1", incarnation="i2")
    assert late(world, offer.body, {"tokens_in": 30, "cost": 0.5})
    world.tick(1.0)
    again: Any = offers(world.said)[-1].body
    assert (again.attempt, again.budget) == (3, pytest.approx(1.5))


@pytest.mark.parametrize("wrong", [{"session": "x"}, {"attempt": 7}, {"epoch": 99}, {"worker": "a9"}])
def test_what_is_about_no_such_attempt_counts_for_nothing_and_is_said_no_more(wrong: dict[str, Any]) -> None:
    world = budgeted(day=10.0)
    world.agent("a1")
    body = cut_off(world, {"tokens_in": 100, "logged": True}, cancelled=True)
    assert late(world, body, {"tokens_in": 300, "cost": 0.3}, **wrong)
    assert total(world.job("t1")).cost is None


def test_a_log_that_lacks_what_was_told_takes_nothing_back() -> None:
    world = budgeted(day=10.0)
    world.agent("a1")
    body = cut_off(world, {"tokens_in": 100, "cost": 0.2, "logged": True}, cancelled=True)
    late(world, body, {"tokens_in": 50, "cost": 0.1, "unsure": 0.05})
    job = world.job("t1")
    assert (total(job).tokens_in, total(job).cost, total(job).partial) == (100, 0.2, True)
    assert spent(world.state, world.wall)[0] == pytest.approx(0.25)


def test_another_host_knows_nothing_of_an_attempt() -> None:
    world = World(DispatchSettings(rules=RULES, budget=Budget(day=10.0), costly=frozenset({"noop"}), proved=True))
    world.agent("a1")
    world.state.agents["a1"].home = "here"
    (offer,) = offers(world.submit("t1"))
    attempt = world.job("t1").current
    assert attempt is not None
    attempt.session, attempt.turn, attempt.outcome = "s", 1, "lost"
    for name, home in (("near", "here"), ("far", "there")):
        world.agent(name)
        world.state.agents[name].home = home
    assert not late(world, offer.body, {"tokens_in": 9, "cost": 0.9}, sender="far")
    assert total(world.job("t1")).tokens_in == 0
    assert late(world, offer.body, {"tokens_in": 3, "cost": 0.3}, sender="near")
    assert total(world.job("t1")).tokens_in == 3


#: What happens to a task: a call of the model, said or not; a kill; somebody reads a log; the dispatcher dies.
STEPS = st.lists(
    st.sampled_from(["call", "call unsaid", "kill", "kill where no log is", "read a log", "crash"]), max_size=25
)


@settings(max_examples=examples(60), deadline=None)
@given(STEPS, st.randoms())
def test_whoever_reads_a_log_first_each_call_is_told_once(steps: list[str], rng: Any) -> None:
    """Of calls at a dollar each, in one session whose log is the server's own count."""
    world = budgeted(day=1000.0)
    world.agent("a1")
    (offer,) = offers(world.submit("t1", max_attempts=100))
    bodies: list[Any] = [offer.body]
    log: list[int] = [0]
    """Calls that the log had when each attempt began, and has now, at the end."""
    settled: list[str] = [""]
    known: list[int] = [0]
    """Calls that are in the words of each attempt, of earlier ones too."""

    def own(number: int) -> int:
        end = log[number + 1] if number + 1 < len(log) - 1 else log[-1]
        return known[number] + end - log[number]

    log.append(0)
    life = 1

    def say(number: int) -> None:
        calls = own(number)
        usage: dict[str, Any] = {"tokens_in": calls, "cost": float(calls), "logged": True, "settles": settled[number]}
        progress(world, Say(Kind.INBOX, bodies[number], "a1"), None, session="s", usage=usage)

    say(0)
    for step in steps:
        last = len(bodies) - 1
        match step:
            case "call" | "call unsaid":
                log[-1] += 1
                if step == "call":
                    say(last)
            case "kill" | "kill where no log is":
                world.tick(300.0)
                life += 1
                world.agent("a1", incarnation=f"i{life}")
                world.tick(120.0)
            case "read a log" if last:
                number = rng.randrange(last)
                calls = own(number)
                late(world, bodies[number], {"tokens_in": calls, "cost": float(calls), "settles": settled[number]})
            case "crash":
                crash(world)
                world.agent("a1", incarnation=f"i{life}")
        body: Any = offers(world.said)[-1].body
        if body.attempt != bodies[-1].attempt:
            log.insert(-1, log[-1])
            bodies.append(body)
            reads = body.resume is not None and body.resume.get("cut_off") and step == "kill"
            settled.append("s" if reads else "")
            known.append(log[-1] - body.resume["tokens_in"] if reads else 0)
            if rng.random() < 0.5:
                say(last + 1)
    world.act(Kind.TASK_CANCEL, "t1")
    world.tick(300.0)
    for number, body in enumerate(bodies):
        calls = own(number)
        late(world, body, {"tokens_in": calls, "cost": float(calls), "settles": settled[number]})
    used = total(world.job("t1"))
    assert (used.tokens_in, used.partial) == (log[-1], False), [one.usage for one in world.job("t1").attempts]
    assert spent(world.state, world.wall)[1] == pytest.approx(float(log[-1]))
