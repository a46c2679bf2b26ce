"""What the publisher decides, whatever is heard in whatever order."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.bus.memory import MemoryBus
from swarm_tui.bus.memory_broker import MemoryBroker
from swarm_tui.client import publication_policy
from swarm_tui.client.operator import Operator
from swarm_tui.client.publication_policy import RANK, SETTLED, UNACCEPTED, Record, Stage
from swarm_tui.protocol.bodies import Assigned, Body, Complete, Dispatcher, Queued, Status, Task, TaskRejected
from swarm_tui.protocol.topics import Kind
from tests.wait import until

QUEUED, ASSIGNED, REJECTED = Queued(task_id="t"), Assigned(task_id="t", agent_id="a"), TaskRejected(task_id="t")
answers = st.sampled_from([QUEUED, ASSIGNED, REJECTED, Complete(task_id="t")])
steps = st.lists(
    st.tuples(st.sampled_from(["turn", "ack", "answer", "return"]), st.floats(0, 4), st.booleans(), answers),
    max_size=40,
)


def play(moves: list[tuple[str, float, bool, Body]], chance: float) -> list[tuple[float, Record, bool, Body | None]]:
    """The records after each move, with the time, whether it was sent, and the answer of that move."""
    now, record = 0.0, publication_policy.begin("t", 0.0, 30.0)
    trail: list[tuple[float, Record, bool, Body | None]] = []
    for move, wait, up, body in moves:
        now += wait
        sent, heard = False, None
        if move == "turn":
            record, sent = publication_policy.turn(record, now, up, chance)
        elif move == "ack" and record.sends:
            record = publication_policy.acknowledged(record)
        elif move == "return":
            record = publication_policy.returned(record, now, chance)
        elif move == "answer":
            record, heard = publication_policy.answered(record, body), body
        trail.append((now, record, sent, heard))
    return trail


@given(steps, st.floats(0, 0.999))
def test_each_stage_is_true_when_it_is_said_and_is_never_taken_back(
    moves: list[tuple[str, float, bool, Body]], chance: float
) -> None:
    before = Stage.PENDING
    said: set[Stage] = set()
    for now, record, sent, heard in play(moves, chance):
        stage = record.stage
        if stage is not before:
            assert before not in SETTLED
            if stage in (Stage.QUEUED, Stage.ASSIGNED, Stage.REJECTED):
                assert heard is {Stage.QUEUED: QUEUED, Stage.ASSIGNED: ASSIGNED, Stage.REJECTED: REJECTED}[stage]
            if stage is Stage.GAVE_UP:
                assert now >= 30.0
                assert not said & {Stage.QUEUED, Stage.ASSIGNED}
            if stage in RANK:
                assert RANK[stage] > RANK[before]
        assert not (sent and stage not in UNACCEPTED)
        said.add(stage)
        before = stage


@given(steps, st.floats(0, 0.999))
def test_it_never_floods(moves: list[tuple[str, float, bool, Body]], chance: float) -> None:
    """However often it is asked, at most one message for each first half of the growing span, plus one a return."""
    trail = play(moves, chance)
    sent_at = [now for now, _, sent, _ in trail if sent]
    returns = sum(move == "return" for move, *_ in moves)
    allowed, at = 1, 0.0
    for repeat in range(1, 100):
        at += min(publication_policy.LONGEST_REPEAT, publication_policy.FIRST_REPEAT * 2 ** min(repeat - 1, 8)) / 2
        allowed += at <= (trail[-1][0] if trail else 0.0)
    assert len(sent_at) <= allowed + returns


@given(st.floats(0, 0.999))
def test_left_alone_it_repeats_and_then_gives_up_in_time(chance: float) -> None:
    record, now, times = publication_policy.begin("t", 0.0, 30.0), 0.0, []
    while (due := publication_policy.due(record, True)) is not None:
        assert due >= now
        now = due
        record, sent = publication_policy.turn(record, now, True, chance)
        if sent:
            times.append(now)
            record = publication_policy.acknowledged(record)
    assert (record.stage, now) == (Stage.GAVE_UP, 30.0)
    assert times[0] == 0.0
    assert 7 <= len(times) <= 16
    assert all(later - earlier <= publication_policy.LONGEST_REPEAT for earlier, later in pairwise(times))
    assert "check that a task-manager" in record.reason


def test_while_the_link_is_down_nothing_is_sent_twice_and_the_time_runs() -> None:
    record, sent = publication_policy.turn(publication_policy.begin("t", 0.0, 30.0), 0.0, False, 0.0)
    assert sent
    assert publication_policy.turn(record, 20.0, False, 0.0) == (record, False)
    assert publication_policy.due(record, False) == 30.0
    assert publication_policy.turn(publication_policy.returned(record, 20.0, 0.0), 20.0, True, 0.0)[1]
    gone, _ = publication_policy.turn(record, 30.0, False, 0.0)
    assert gone.stage is Stage.GAVE_UP
    assert "the broker did not take it within 30 s" in gone.reason


def test_the_task_that_an_idempotency_key_stands_for_is_known() -> None:
    sent, _ = publication_policy.turn(publication_policy.begin("t2", 0.0, 30.0), 0.0, True, 0.5)
    heard = publication_policy.answered(sent, Queued(task_id="t2", duplicate=True, state="complete", original="t1"))
    assert (heard.stage, heard.reason, heard.original) == (Stage.QUEUED, "complete", "t1")


TROUBLE = "nothing is accepted: the disk is full"


def test_who_gives_up_says_what_the_dispatcher_says_of_itself() -> None:
    broker = MemoryBroker()
    dispatcher = Operator(MemoryBus(broker, "d"), "s", user="d", host="h")
    dispatcher.start()
    for agent, trouble in (("tm-1", TROUBLE), ("tm-2", "it stands by")):
        status = Status(status="online", role="task-manager", trouble=trouble)
        dispatcher.bus.publish(dispatcher.writer.message(Kind.STATUS, status, agent))
    body = Dispatcher(instance="i", epoch=1, online=True, agent_id="tm-1")
    dispatcher.bus.publish(dispatcher.writer.message(Kind.DISPATCHER, body))
    operator = Operator(MemoryBus(broker, "o"), "s", user="u", host="h")
    operator.start()
    until(lambda: operator._publisher._leader, what="it hears who leads")
    publication = operator.submit(Task(task_id="t", type="noop"), accept_timeout=0.1)
    publication.wait(Stage.QUEUED, 5.0)
    assert publication.reason == f"nobody accepted it within 0.1 s: tm-1: {TROUBLE}"
    dispatcher.bus.publish(dispatcher.writer.message(Kind.STATUS, Status(status="online", role="task-manager"), "tm-1"))
    until(lambda: "tm-1" not in operator._publisher._troubles, what="it hears that all is well")
    again = operator.submit(Task(task_id="t2", type="noop"), accept_timeout=0.1)
    again.wait(Stage.QUEUED, 5.0)
    assert "check that a task-manager" in again.reason
    operator.close()
    dispatcher.close()
