"""What is forged on a retained topic is put right once its owner had time to, and no faster than a forger can bear."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.domain.dispatch import DispatchSettings
from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.model import ScaleTarget, State
from swarm_tui.domain.dispatch.retained_topics import (
    ASKED_AGAIN,
    ASKED_MOST,
    AT_ONCE,
    GRACE,
    MINDED,
    MOST,
    Restored,
    RetainedTopics,
)
from swarm_tui.protocol.bodies import Halt, Inbox, Scale
from swarm_tui.protocol.topics import Kind
from tests.examples import examples


def state(**fields: object) -> State:
    made = State(settings=DispatchSettings(), me="tm", **fields)  # type: ignore[arg-type]
    made.targets["docs"] = ScaleTarget(desired=3, looked=0.0, lowered=0.0, pinned=True)
    return made


def test_what_stands_is_said_and_what_does_not_is_emptied() -> None:
    topics = RetainedTopics()
    for kind, key in ((Kind.HALT, ""), (Kind.SCALE, "docs"), (Kind.SCALE, "evil"), (Kind.HOST_STATUS, "ghost")):
        topics.heard_wrong(kind, key, 0.0, 0.0)
    said = topics.look(state(halted="fire"), 100.0)
    assert said == [
        Restored(Kind.HALT, "", Halt(reason="fire")),
        Restored(Kind.SCALE, "docs", Scale(desired=3, reason="as it was", pinned=True)),
        Restored(Kind.SCALE, "evil", None),
        Restored(Kind.HOST_STATUS, "ghost", None),
    ]
    assert not topics.wrong


@pytest.mark.parametrize("kind", sorted(GRACE))
def test_an_owner_who_speaks_in_time_is_left_alone(kind: Kind) -> None:
    topics = RetainedTopics()
    topics.heard_wrong(kind, "a", 0.0, 0.0)
    assert topics.look(state(), GRACE[kind] - 0.1) == []
    topics.heard_right(kind, "a", 1.0)
    assert topics.look(state(), GRACE[kind] + 100.0) == []


def test_a_word_that_is_said_again_puts_nothing_right() -> None:
    topics = RetainedTopics()
    topics.heard_wrong(Kind.STATUS, "a", 0.0, 7.0)
    topics.heard_wrong(Kind.STATUS, "a", 1.0, 8.0)
    topics.heard_right(Kind.STATUS, "a", 7.5)
    assert topics.wrong
    topics.heard_right(Kind.STATUS, "a", 8.0)
    assert not topics.wrong


def test_an_agent_that_is_there_is_asked_before_its_topic_is_emptied() -> None:
    there, topics = state(), RetainedTopics()
    there.agents["a"] = AgentRecord(agent_id="a", seen=0.0)
    topics.heard_wrong(Kind.STATUS, "a", 0.0, 0.0)
    times = [number * ASKED_AGAIN + GRACE[Kind.STATUS] for number in range(ASKED_MOST + 1)]
    said = [one for now in times for one in topics.look(there, now)]
    asked = Restored(Kind.INBOX, "a", Inbox(command="ping", dispatcher="tm"))
    assert said == [asked] * ASKED_MOST + [Restored(Kind.STATUS, "a", None)]


def test_an_empty_message_matters_where_something_of_ours_stands() -> None:
    topics = RetainedTopics()
    for kind, key in ((Kind.HALT, ""), (Kind.SCALE, "evil"), (Kind.STATUS, "a"), (Kind.HOST_STATUS, "h")):
        topics.emptied(kind, key, state(), 0.0, 0.0)
    assert not topics.wrong
    topics.emptied(Kind.HALT, "", state(halted="fire"), 0.0, 0.0)
    topics.emptied(Kind.SCALE, "docs", state(), 0.0, 0.0)
    assert [where.kind for where in topics.wrong] == [Kind.HALT, Kind.SCALE]


_KINDS = st.sampled_from(sorted(MINDED))
_LIES = st.lists(st.tuples(st.floats(0.0, 2.0), _KINDS, st.integers(0, 60)), max_size=300)


@given(_LIES)
@settings(max_examples=examples(100), deadline=None)
def test_a_forger_makes_us_say_no_more_than_so_much_and_is_outlasted(lies: list[tuple[float, Kind, int]]) -> None:
    topics, said, now = RetainedTopics(), list[tuple[float, Restored]](), 0.0
    wrong: set[tuple[Kind, str]] = set()

    def look() -> None:
        for one in topics.look(state(), now):
            said.append((now, one))
            wrong.discard((one.kind, one.key))

    for pause, kind, number in lies:
        now += pause
        key = "" if kind is Kind.HALT else f"n{number}"
        topics.heard_wrong(kind, key, now, now)
        wrong.add((kind, key))
        look()
    for _ in range(60):
        now += 1.0
        look()
    assert not wrong
    assert not topics.wrong
    seconds = Counter(int(at / 2.0) for at, _ in said)
    assert max(seconds.values(), default=0) <= 3 * AT_ONCE
    for where in {(one.kind, one.key) for _, one in said}:
        times = [at for at, one in said if (one.kind, one.key) == where]
        assert all(later - before > 0.999 for before, later in pairwise(times))


def test_memory_is_bounded() -> None:
    topics = RetainedTopics()
    for number in range(MOST + 100):
        topics.heard_wrong(Kind.SCALE, f"r{number}", 0.0, 0.0)
    assert len(topics.wrong) == MOST
