"""A flood of one sender starves nobody: in memory with a good task after it, and for real as a drill."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.domain.dispatch import retained_topics
from swarm_tui.identity import door
from swarm_tui.identity.door import OVER_ITS_RATE
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind, topic
from tests.attacks import planted
from tests.attacks import swarm as parts
from tests.attacks.swarm import SWARM, WORKER, Swarm, Work
from tests.bench.bench_engine import Live
from tests.bench.bench_flood import MOST, floods, worst
from tests.conftest import RealBroker
from tests.wait import until

AT_ONCE = 100.0


@pytest.fixture
def swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Swarm]:
    monkeypatch.setitem(registry.BUILTIN, "attacked", f"{parts.__name__}:Work")
    monkeypatch.setattr("swarm_tui.agent.runtime.STOP_WAIT", 0.05)
    monkeypatch.setattr("swarm_tui.agent.runtime.LEAVE_WAIT", 0.5)
    # So much less, for the sake of the test's time.
    monkeypatch.setattr(door, "GUESTS", 10.0)
    monkeypatch.setattr(door, "GUESTS_AT_ONCE", AT_ONCE)
    made = Swarm(tmp_path, guarded=True)
    yield made
    made.close()


def test_a_good_task_is_done_before_a_guests_many(swarm: Swarm) -> None:
    for number in range(1000):
        swarm.forge(Kind.TASK_NEW, b.Task(task_id=f"evil-{number}", type="work", payload={}, priority="high"))
    swarm.done(swarm.publish("good"))
    assert len(Work.ran) < AT_ONCE, "it waited for the flood"
    row = swarm.operator.query("guard")
    assert row is not None
    assert row.rows[0]["refused"][OVER_ITS_RATE] > 500


def test_forged_words_to_an_agent_cost_it_nothing_that_it_needs(swarm: Swarm) -> None:
    for _ in range(1000):
        swarm.forge(Kind.INBOX, b.Inbox(command="drain"), WORKER)
    swarm.done(swarm.publish("good"))
    until(lambda: not swarm.worker.work.core.draining, what="it to take tasks")


def test_what_is_left_on_retained_topics_in_a_flood_is_put_right_after_it(
    swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in retained_topics.GRACE:
        monkeypatch.setitem(retained_topics.GRACE, kind, 0.5)
    for number in range(1000):
        swarm.forge(Kind.TASK_CANCEL, b.TaskAct(task_id=f"evil-{number}"))
        swarm.forge(Kind.INBOX, b.Inbox(command="drain"), WORKER)
    assert not planted.planted(swarm)()


def test_questions_who_is_there_do_not_have_each_agent_answer_each_of_them(swarm: Swarm) -> None:
    for _ in range(100):
        swarm.signed(swarm.joined, Kind.QUERY, b.Query(query="who"), "helper")
    swarm.done(swarm.publish("good"))
    pings = [event for event in swarm.of(Kind.INBOX, command="ping") if event.key == WORKER]
    assert len(pings) < 5
    until(lambda: swarm.of(Kind.INBOX, command="ping"), what="who asked to be answered")


def test_an_agent_says_its_status_again_also_when_it_reads_no_more_of_a_flood(swarm: Swarm) -> None:
    swarm.manager.close()
    for _ in range(1000):
        swarm.forge(Kind.INBOX, b.Inbox(command="drain"), WORKER)
    swarm.forge(Kind.STATUS, planted.BODIES[Kind.STATUS], WORKER, sender=WORKER)
    full = topic(SWARM, Kind.STATUS, WORKER)
    until(lambda: [raw for name, raw in list(swarm.raw) if name == full and b"evil" in raw], what="the forged one")
    until(lambda: b"evil" not in swarm.broker.retained[full].payload, what="its own word again")


@pytest.mark.drill
@pytest.mark.parametrize("what", floods())
def test_a_good_task_is_done_in_a_real_flood(real_broker: RealBroker, tmp_path: Path, what: str) -> None:
    live = Live(real_broker, tmp_path, 2, proved=True)
    try:
        for pattern in ("agents/heartbeat", "broadcast", "dispatcher"):
            live.bus.unsubscribe(f"{live.swarm}/{pattern}")
        for _ in range(5):
            live.task()
        slowest, rate = worst(live, real_broker.port, floods()[what])
        assert rate > 10_000
        assert slowest < MOST
    finally:
        live.close()
