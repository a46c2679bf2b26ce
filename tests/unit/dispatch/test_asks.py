"""Asks: each has one outcome, written down before it is said, and nothing is allowed that no operator allowed."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given, settings

from swarm_tui.domain.dispatch.asks import rows
from swarm_tui.domain.dispatch.model import Say
from swarm_tui.protocol.ask_bodies import Ask, AskAnswer, AskRecorded
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.dispatch.world import OPERATOR, World, of, offers


def begun(world: World, task_id: str = "t1", agent_id: str = "a1") -> Say:
    world.agent(agent_id)
    (offer,) = offers(world.submit(task_id))
    world.start(offer)
    return offer


def ask(
    world: World, ask_id: str, *, task_id: str = "t1", agent_id: str = "a1", attempt: int = 1, **more: Any
) -> list[Say]:
    body = Ask(
        ask_id=ask_id, task_id=task_id, agent_id=agent_id, attempt=attempt, epoch=world.state.epoch, tool="Bash",
        title="make", rule="Bash(make)", **more,
    )  # fmt: skip
    return world.hear(Kind.ASK, body, key=ask_id, sender=agent_id)


def answer(world: World, ask_id: str, outcome: Any = "allow", sender: str = OPERATOR, **more: Any) -> list[Say]:
    return world.hear(Kind.ASK_ANSWER, AskAnswer(outcome=outcome, **more), key=ask_id, sender=sender)


def recorded(says: list[Say]) -> list[tuple[str, str, str]]:
    return [(body.ask_id, body.outcome, body.by) for body in of(says, Kind.ASK_RECORDED)]


def test_an_ask_waits_and_its_answer_is_written_down_then_said() -> None:
    world = World()
    begun(world)
    assert recorded(ask(world, "q1", diff="+hi\n")) == []
    (row,) = rows(world.state)
    assert (row.ask_id, row.task_id, row.agent_id, row.tool, row.title) == ("q1", "t1", "a1", "Bash", "make")
    assert row.expires_at - row.since == world.settings.ask_within
    assert row.diff == "+hi\n"
    saves = len(world.saves)
    assert recorded(answer(world, "q1", "always")) == [("q1", "always", OPERATOR)]
    assert len(world.saves) > saves
    assert rows(world.state) == []
    assert [hop.what for hop in world.job("t1").hops][-2:] == ["asked", "allowed"]
    assert recorded(ask(world, "q1")) == [("q1", "always", OPERATOR)], "asked again it is told again"


def test_the_second_of_two_answers_is_refused_and_changes_nothing() -> None:
    world = World()
    begun(world)
    ask(world, "q1")
    assert recorded(answer(world, "q1", "deny", reason="no")) == [("q1", "deny", OPERATOR)]
    says = answer(world, "q1", "allow", sender="operator:bob@box")
    assert recorded(says) == []
    assert "nobody waits for it" in of(says, Kind.ALERT)[0].message
    assert world.job("t1").questions[0].outcome == "deny"


def test_only_an_operator_answers() -> None:
    world = World()
    begun(world)
    ask(world, "q1")
    for sender in ("a1", "a2", "anonymous", "host:h"):
        assert recorded(answer(world, "q1", sender=sender)) == []
    assert [row.ask_id for row in rows(world.state)] == ["q1"]


def test_silence_is_a_no() -> None:
    world = World()
    offer = begun(world)
    ask(world, "q1")
    for _ in range(60):
        world.tick(10.0)
        world.beat("a1", offer)
    said = [body for body in of(world.said, Kind.ASK_RECORDED) if isinstance(body, AskRecorded)]
    assert [(body.outcome, body.by, body.reason) for body in said] == [("deny", "", "nobody answered within 600 s")]
    assert recorded(answer(world, "q1")) == []


def test_it_survives_the_death_of_the_dispatcher() -> None:
    world = World()
    begun(world)
    ask(world, "q1", input={"command": "make"})
    world.crash()
    (row,) = rows(world.state)
    assert row.input == {"command": "make"}
    assert recorded(answer(world, "q1")) == [("q1", "allow", OPERATOR)]
    world.crash()
    assert recorded(ask(world, "q1")) == [("q1", "allow", OPERATOR)]


def test_an_ask_of_an_attempt_that_is_over_is_denied_and_the_next_asks_anew() -> None:
    world = World()
    offer = begun(world)
    ask(world, "q1")
    says = world.fail(offer, cause="interrupted")
    assert recorded(says) == [("q1", "deny", "")]
    assert recorded(answer(world, "q1")) == []
    assert recorded(ask(world, "q2", attempt=9)) == [("q2", "deny", "")], "an attempt that holds nothing asks nothing"


def test_an_ask_of_no_task_is_denied() -> None:
    world = World()
    assert recorded(ask(world, "q1", task_id="nope")) == [("q1", "deny", "")]


def test_a_cancel_denies_what_waits() -> None:
    world = World()
    begun(world)
    ask(world, "q1")
    assert recorded(world.act(Kind.TASK_CANCEL, "t1")) == [("q1", "deny", "")]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 3)),
        st.tuples(st.just("answer"), st.integers(0, 3), st.sampled_from(["allow", "deny", "always"]),
                  st.sampled_from([OPERATOR, "operator:bob@box", "a1"])),
        st.tuples(st.just("crash")),
        st.tuples(st.just("pass"), st.floats(0.1, 400.0)),
        st.tuples(st.just("fail")),
        st.tuples(st.just("cancel")),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=examples(60), deadline=None)
@given(STEPS)
def test_whatever_happens_each_ask_has_one_outcome_that_an_operator_allowed(steps: list[tuple[Any, ...]]) -> None:
    world = World()
    offer = begun(world)
    allowed: set[str] = set()
    for step in steps:
        match step:
            case ("ask", number):
                ask(world, f"q{number}", attempt=world.job("t1").attempt)
            case ("answer", number, outcome, sender):
                before = {row.ask_id for row in rows(world.state)}
                answer(world, f"q{number}", outcome, sender=sender)
                if outcome != "deny" and sender.startswith("operator:") and f"q{number}" in before:
                    allowed.add(f"q{number}")
            case ("crash",):
                world.crash()
            case ("pass", seconds):
                world.tick(seconds)
            case ("fail",):
                world.fail(offer, cause="interrupted")
            case ("cancel",):
                world.act(Kind.TASK_CANCEL, "t1")
    outcomes: dict[str, set[str]] = {}
    for body in of(world.said, Kind.ASK_RECORDED):
        outcomes.setdefault(body.ask_id, set()).add(body.outcome)
        assert body.outcome == "deny" or body.ask_id in allowed
    for ask_id, said in outcomes.items():
        assert len(said) == 1, (ask_id, said)
