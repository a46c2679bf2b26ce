"""Asks: each has one outcome, written down before it is said, and nothing is allowed that no operator allowed."""

from collections import Counter
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
    job = world.state.jobs.get(task_id)
    epoch = next((one.epoch for one in job.attempts if one.number == attempt), 1) if job is not None else 1
    body = Ask(
        ask_id=ask_id, task_id=task_id, agent_id=agent_id, attempt=attempt, epoch=epoch, tool="Bash",
        **{"title": "make", "rule": "Bash(make)", **more},
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


def test_an_ask_waits_on_for_the_next_attempt_which_asks_it_again_and_is_answered_once() -> None:
    world = World()
    offer = begun(world)
    ask(world, "q1")
    (offer,) = offers(world.fail(offer, cause="interrupted"))
    assert [row.ask_id for row in rows(world.state)] == ["q1"]
    world.start(offer)
    assert recorded(ask(world, "q2", attempt=2)) == [("q1", "deny", "")]
    assert [row.ask_id for row in rows(world.state)] == ["q2"]
    assert recorded(answer(world, "q2")) == [("q2", "allow", OPERATOR)]
    assert recorded(ask(world, "q3", attempt=9)) == [("q3", "deny", "")], "an attempt that holds nothing asks nothing"


def test_an_answer_that_came_between_two_attempts_is_the_next_ones_and_for_once() -> None:
    world = World()
    offer = begun(world)
    ask(world, "q1")
    (offer,) = offers(world.fail(offer, cause="interrupted"))
    world.start(offer)
    (kept,) = of(answer(world, "q1"), Kind.ASK_RECORDED)
    assert isinstance(kept, AskRecorded)
    assert (kept.outcome, kept.kept) == ("allow", True)
    assert recorded(ask(world, "q1")) == [], "the attempt that asked holds the task no more"
    world.crash()
    assert recorded(ask(world, "other", attempt=2, title="make all")) == []
    (given,) = of(ask(world, "q2", attempt=2), Kind.ASK_RECORDED)
    assert isinstance(given, AskRecorded)
    assert (given.ask_id, given.outcome, given.by, given.kept) == ("q2", "allow", OPERATOR, False)
    assert recorded(ask(world, "q3", attempt=2)) == [], "one yes is for one time"


def test_what_the_next_attempt_does_not_ask_again_is_a_no_after_a_while() -> None:
    world = World()
    offer = begun(world)
    ask(world, "q1")
    (offer,) = offers(world.fail(offer, cause="interrupted"))
    world.start(offer)
    for _ in range(20):
        world.tick(10.0)
        world.beat("a1", offer)
    assert rows(world.state) == []
    assert world.job("t1").questions[0].reason == "the next attempt did not ask it again"


def test_an_always_holds_for_every_attempt_of_the_task_and_for_no_other() -> None:
    world = World()
    offer = begun(world)
    ask(world, "q1")
    answer(world, "q1", "always")
    world.crash()
    (offer,) = offers(world.fail(offer, cause="interrupted")) or offers(world.agent("a1", incarnation="i2"))
    assert offer.body.granted == ("Bash(make)",)  # type: ignore[union-attr]
    world.start(offer)
    assert recorded(ask(world, "q2", attempt=2)) == [("q2", "always", OPERATOR)]
    world.agent("a2")
    (other,) = offers(world.submit("t2"))
    assert other.body.granted == ()  # type: ignore[union-attr]
    world.start(other)
    assert recorded(ask(world, "q3", task_id="t2", agent_id=other.key)) == []


def test_the_id_of_an_ask_that_waits_is_of_no_other_task() -> None:
    world = World()
    begun(world)
    ask(world, "q1")
    begun(world, "t2", "a2")
    assert recorded(ask(world, "q1", task_id="t2", agent_id="a2", title="rm -r x")) == []
    assert [(row.task_id, row.title) for row in rows(world.state)] == [("t1", "make")]
    assert recorded(answer(world, "q1")) == [("q1", "allow", OPERATOR)]
    assert not world.job("t2").questions


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
def test_whatever_happens_each_ask_has_one_outcome_and_each_yes_is_for_one_ask(steps: list[tuple[Any, ...]]) -> None:
    world = World()
    begun(world)
    yes: Counter[str] = Counter()
    always: set[str] = set()

    def wish(number: int) -> str:
        return f"make {number % 2}"

    for step in steps:
        attempt = world.job("t1").attempt
        match step:
            case ("ask", number):
                ask(world, f"{attempt}q{number}", attempt=attempt, title=wish(number), rule=wish(number))
            case ("answer", number, outcome, sender):
                found = [row for row in rows(world.state) if row.title == wish(number)]
                for row in found[:1]:
                    answer(world, row.ask_id, outcome, sender=sender)
                    if outcome == "allow" and sender.startswith("operator:"):
                        yes[row.title] += 1
                    elif outcome == "always" and sender.startswith("operator:"):
                        always.add(row.title)
            case ("crash",):
                world.crash()
            case ("pass", seconds):
                world.tick(seconds)
            case ("fail",):
                if said := offers(world.said):
                    for offer in offers(world.fail(said[-1], cause="interrupted")):
                        world.start(offer)
            case ("cancel",):
                world.act(Kind.TASK_CANCEL, "t1")
    outcomes: dict[str, set[str]] = {}
    allowed: Counter[str] = Counter()
    for body in of(world.said, Kind.ASK_RECORDED):
        assert isinstance(body, AskRecorded)
        if not body.kept:
            outcomes.setdefault(body.ask_id, set()).add(body.outcome)
    for ask_id, said in outcomes.items():
        assert len(said) == 1, (ask_id, said)
        title = wish(int(ask_id.partition("q")[2]))
        allowed[title] += said == {"allow"}
        assert said != {"always"} or title in always
    assert all(count <= yes[title] for title, count in allowed.items()), (allowed, yes)
