"""The pure worker: offers, fences, claims, acks."""

import itertools
from collections import Counter, deque
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.domain.worker import TELL_AFTER, Leader, Worker, WorkerIdentity
from swarm_tui.domain.worker.actions import Action, Beat, HeldLease, Ignore, Listen, Note, Run, Save, Say, Stop
from swarm_tui.domain.worker.unclaimed import REMEMBERED, Unclaimed
from swarm_tui.domain.worker.worker_state import OFFER_LIFE
from swarm_tui.protocol.bodies import (
    Assigned,
    Body,
    Cleared,
    Complete,
    Declined,
    Dispatcher,
    Halt,
    Inbox,
    Started,
    Status,
    Task,
    TaskAct,
)
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from tests.examples import examples

_ids = itertools.count()


def event(kind: Kind, body: Body, *, key: str = "", received: float = 1000.0, **more: Any) -> Event:
    return Event(
        topic=kind.value, kind=kind, key=key, id=f"e{next(_ids)}", at=received, received=received,
        sender="tm", role=None, body=body, payload={}, **more,
    )  # fmt: skip


def worker(agent_id: str = "w", **me: Any) -> Worker:
    me = {"types": frozenset({"noop"}), **me}
    made = Worker(
        WorkerIdentity(agent_id=agent_id, role="general", incarnation=f"life-of-{agent_id}", **me),
        lambda: f"m{next(_ids)}",
    )
    made.on_link(True, 0.0)
    return made


def led(epoch: int = 1, **me: Any) -> Worker:
    made = worker(**me)
    made.on_event(event(Kind.DISPATCHER, Dispatcher(instance="d", epoch=epoch)), -TELL_AFTER)
    made.tick(0.0)
    return made


def free(**me: Any) -> Worker:
    made = worker(**me)
    made.settled(-TELL_AFTER)
    made.tick(0.0)
    return made


def offer(
    task_id: str = "t", *, attempt: int = 1, epoch: int = 1, incarnation: str | None = None, **task: Any
) -> Event:
    given_task = Task(**{"task_id": task_id, "type": "noop", **task})
    body = Inbox(task_id=task_id, attempt=attempt, epoch=epoch, incarnation=incarnation, lease=30.0, task=given_task)
    return event(Kind.INBOX, body)


def new(task_id: str, **task: Any) -> Event:
    return event(Kind.TASK_NEW, Task(**{"task_id": task_id, "type": "noop", **task}))


def says(actions: list[Action], shape: type[Body]) -> list[Any]:
    return [action.body for action in actions if isinstance(action, Say) and isinstance(action.body, shape)]


def runs(actions: list[Action]) -> list[str]:
    return [action.lease.task_id for action in actions if isinstance(action, Run)]


def done(w: Worker, task_id: str, now: float = 1.0) -> list[Action]:
    lease = w.running[task_id]
    answer = Complete(task_id=task_id, agent_id=w.me.agent_id, attempt=lease.attempt, epoch=lease.epoch)
    return w.finished(task_id, answer, now)


# -- offers


def test_the_offer_is_saved_before_it_runs_and_the_answer_before_it_is_said() -> None:
    w = led()
    kinds = [type(action) for action in w.on_event(offer(), 1.0)]
    assert kinds.index(Save) < kinds.index(Run)
    kinds = [type(action) for action in done(w, "t")]
    assert kinds.index(Save) < kinds.index(Say)


def test_an_offer_again_is_not_run_again() -> None:
    w = led()
    assert runs(w.on_event(offer(), 1.0)) == ["t"]
    again = w.on_event(offer(), 1.0)
    assert not runs(again)
    assert says(again, Started)
    done(w, "t")
    assert [answer.task_id for answer in says(w.on_event(offer(), 2.0), Complete)] == ["t"]
    w.on_event(event(Kind.INBOX, Inbox(command="ack", task_id="t", attempt=1)), 3.0)
    assert w.on_event(offer(), 4.0) == []


def test_a_new_attempt_of_what_ended_well_is_answered_by_the_end() -> None:
    w = led()
    w.on_event(offer(), 1.0)
    done(w, "t")
    actions = w.on_event(offer(attempt=2), 2.0)
    assert not runs(actions)
    assert says(actions, Complete)
    assert says(actions, Declined)


def test_what_it_declines_and_why() -> None:
    w = led(epoch=4)
    reasons = {
        "earlier incarnation": offer("a", epoch=4, incarnation="old"),
        "epoch 3 is over": offer("b", epoch=3),
        "cannot do deploy": offer("c", epoch=4, type="deploy"),
    }
    for words, heard in reasons.items():
        assert words in says(w.on_event(heard, 1.0), Declined)[0].reason
    w.on_event(offer("d", epoch=4), 1.0)
    assert "busy: 1 of 1" in says(w.on_event(offer("e", epoch=4), 1.0), Declined)[0].reason
    assert "still runs attempt 1" in says(w.on_event(offer("d", epoch=4, attempt=2), 1.0), Declined)[0].reason
    w.drain(True, 1.0)
    assert says(w.on_event(offer("f", epoch=4), 1.0), Declined)[0].reason == "draining"


def test_while_a_person_has_its_pane_it_takes_and_claims_nothing() -> None:
    w = led()
    assert Beat() in w.occupy("a person is at work in claude", 1.0)
    declined = says(w.on_event(offer("a"), 1.0), Declined)[0]
    assert declined.reason == "busy: a person is at work in claude"
    assert Beat() in w.occupy("", 2.0)
    assert runs(w.on_event(offer("b"), 2.0)) == ["b"]
    w = free()
    w.occupy("a person is at work in claude", 1.0)
    assert not says(w.on_event(new("c"), 1.0), Assigned)
    assert says(w.occupy("", 2.0), Assigned)[0].task_id == "c"


def test_a_result_is_said_again_less_and_less_often_until_the_ack() -> None:
    w = led()
    w.on_event(offer(), 0.0)
    done(w, "t", 0.0)
    times = []
    now = 0.0
    for _ in range(8):
        wake = w.wake(now)
        assert wake is not None
        now = wake
        assert says(w.tick(now), Complete)
        times.append(now)
    gaps = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == 60.0
    w.on_event(event(Kind.INBOX, Inbox(command="ack", task_id="t")), now)
    assert w.wake(now) is None


def test_nothing_is_repeated_while_nobody_listens_and_all_of_it_when_one_comes() -> None:
    w = led()
    w.on_event(offer(), 0.0)
    done(w, "t", 0.0)
    w.on_link(False, 1.0)
    assert says(w.tick(1000.0), Complete) == []
    w.on_link(True, 1001.0)
    assert says(w.tick(1001.0), Complete) == []
    assert says(w.on_event(event(Kind.DISPATCHER, Dispatcher(instance="d", epoch=2)), 1002.0), Complete)


def test_orders_are_heeded_once_in_time_and_for_this_life_only() -> None:
    w = led()
    late = event(Kind.INBOX, Inbox(command="drain"), expires_at=999.0)
    other = event(Kind.INBOX, Inbox(command="drain", incarnation="another"))
    for order in (late, other):
        assert w.on_event(order, 1.0) == []
    assert not w.draining
    order = event(Kind.INBOX, Inbox(command="drain"))
    assert w.on_event(order, 1.0)
    w.on_event(event(Kind.INBOX, Inbox(command="undrain")), 2.0)
    assert w.on_event(order, 3.0) == []
    assert not w.draining


def test_cancel_names_its_attempt() -> None:
    w = led()
    w.on_event(offer(attempt=2), 1.0)
    assert w.on_event(event(Kind.INBOX, Inbox(command="cancel", task_id="t", attempt=1)), 1.0) == []
    stops = w.on_event(event(Kind.INBOX, Inbox(command="cancel", task_id="t", attempt=2)), 1.0)
    assert stops == [Stop("t")]


def test_a_dispatcher_that_comes_takes_a_claimed_task_over() -> None:
    w = free()
    w.on_event(new("t"), 1.0)
    w.on_event(event(Kind.TASK_ASSIGNED, Assigned(task_id="t", agent_id="w", claim=w.claim)), 1.0)
    w.on_event(event(Kind.DISPATCHER, Dispatcher(instance="d", epoch=5)), 2.0)
    w.on_event(event(Kind.INBOX, Inbox(command="accept", task_id="t", attempt=1, epoch=5)), 2.0)
    assert w.running["t"].epoch == 5
    done(w, "t")
    assert [answer.key for answer in w.owed] == [("t", 1)]


def test_an_offer_of_what_it_claimed_is_begun_once() -> None:
    """The offer may come before the word that a dispatcher leads, which itself voids all claims."""
    w = free()
    w.on_event(new("t"), 1.0)
    assert runs(w.on_event(offer(epoch=5), 2.0)) == ["t"]
    assert not w.unclaimed.pending
    echo = event(Kind.TASK_ASSIGNED, Assigned(task_id="t", agent_id="w", claim=w.claim))
    assert runs(w.on_event(echo, 2.0)) == []
    assert len(w.running) == 1


def test_the_echo_of_a_claim_begins_nothing_that_is_in_hand() -> None:
    w = free()
    w.on_event(new("t"), 1.0)
    task, _ = w.unclaimed.pending["t"]
    w.state.begin(HeldLease(task=task, attempt=1, epoch=5))
    echo = event(Kind.TASK_ASSIGNED, Assigned(task_id="t", agent_id="w", claim=w.claim))
    assert runs(w.on_event(echo, 2.0)) == []
    assert w.running["t"].epoch == 5


def test_what_was_claimed_and_taken_over_leaves_nothing_under_its_old_fence() -> None:
    w = free()
    w.on_event(new("t"), 1.0)
    w.on_event(event(Kind.TASK_ASSIGNED, Assigned(task_id="t", agent_id="w", claim=w.claim)), 1.0)
    saves = w.on_event(event(Kind.INBOX, Inbox(command="accept", task_id="t", attempt=3, epoch=5)), 2.0)
    assert [(s.what, s.attempt, s.epoch) for s in saves if isinstance(s, Save)] == [("offer", 3, 5), ("done", 1, None)]


# -- claims


def test_the_first_claim_heard_decides() -> None:
    w = free()
    assert [body.task_id for body in says(w.on_event(new("t"), 1.0), Assigned)] == ["t"]
    assert runs(w.on_event(event(Kind.TASK_ASSIGNED, Assigned(task_id="t", agent_id="x")), 1.0)) == []
    late = w.on_event(event(Kind.TASK_ASSIGNED, Assigned(task_id="t", agent_id="w", claim=w.claim)), 1.0)
    assert runs(late) == []


def test_a_claim_of_a_connection_that_dropped_is_void() -> None:
    w = free()
    w.on_event(new("t"), 1.0)
    claim = w.claim
    w.on_link(False, 2.0)
    assert not w.unclaimed.pending
    w.on_link(True, 3.0)
    w.settled(3.0)
    assert runs(w.on_event(event(Kind.TASK_ASSIGNED, Assigned(task_id="t", agent_id="w", claim=claim)), 4.0)) == []


def test_a_busy_worker_remembers_and_claims_by_priority_when_free() -> None:
    w = free()
    w.on_event(new("first"), 1.0)
    w.on_event(event(Kind.TASK_ASSIGNED, Assigned(task_id="first", agent_id="w", claim=w.claim)), 1.0)
    for task_id, priority in (("low", "low"), ("mid", "medium"), ("high", "high")):
        assert says(w.on_event(new(task_id, priority=priority), 1.0), Assigned) == []
    w.on_event(event(Kind.TASK_ASSIGNED, Assigned(task_id="high", agent_id="x")), 2.0)
    assert [body.task_id for body in says(done(w, "first"), Assigned)] == ["mid"]


def test_nobody_claims_under_a_dispatcher_or_while_it_comes_back_or_while_halted() -> None:
    for body in (Dispatcher(instance="d", epoch=1), Dispatcher(instance="d", epoch=1, online=False)):
        w = worker()
        w.on_event(event(Kind.DISPATCHER, body), 0.0)
        assert w.settled(0.0) == []
        assert says(w.on_event(new("t"), 1.0), Assigned) == []
    w = free()
    w.on_event(event(Kind.HALT, Halt(reason="no")), 0.0)
    assert says(w.on_event(new("t"), 1.0), Assigned) == []
    assert says(w.on_event(event(Kind.HALT, Cleared()), 2.0), Assigned)


def test_not_before_and_expires_at() -> None:
    w = free()
    assert says(w.on_event(new("later", not_before=1005.0), 10.0), Assigned) == []
    assert w.wake(10.0) == 15.0
    assert [body.task_id for body in says(w.tick(15.0), Assigned)] == ["later"]
    w = free()
    assert says(w.on_event(new("gone", expires_at=999.0), 10.0), Assigned) == []


def test_a_fallback_type_is_for_when_nobody_else_does_it() -> None:
    w = free(types=frozenset({"code.review"}), fallback=frozenset({"security.scan"}))
    security = Status(status="online", capabilities=["security.scan"])
    w.on_event(event(Kind.STATUS, security, key="sec"), 0.0)
    assert says(w.on_event(new("t", type="security.scan"), 1.0), Assigned) == []
    gone = w.on_event(event(Kind.STATUS, Status(status="offline"), key="sec"), 2.0)
    assert [body.task_id for body in says(gone, Assigned)] == ["t"]


def test_a_cancel_ends_a_claimed_task_and_an_open_one() -> None:
    w = free()
    w.on_event(new("t"), 1.0)
    w.on_event(event(Kind.TASK_ASSIGNED, Assigned(task_id="t", agent_id="w", claim=w.claim)), 1.0)
    w.on_event(new("u"), 1.0)
    assert w.on_event(event(Kind.TASK_CANCEL, TaskAct(task_id="t")), 2.0) == [Stop("t")]
    w.on_event(event(Kind.TASK_CANCEL, TaskAct(task_id="u")), 2.0)
    assert says(done(w, "t"), Assigned) == []


def test_what_is_remembered_is_bounded() -> None:
    unclaimed = Unclaimed()
    for n in range(REMEMBERED + 10):
        unclaimed.hear(Task(task_id=f"t{n}", type="noop"), 0.0, 0.0)
        unclaimed.settle(f"s{n}")
    assert len(unclaimed) == REMEMBERED
    assert len(unclaimed.settled) == REMEMBERED


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(1, 4), st.integers(1, 25), st.randoms(use_true_random=False))
def test_by_the_echo_rule_each_task_runs_once_whatever_the_interleaving(agents: int, tasks: int, rng: Any) -> None:
    """One order for all of what is said on the bus, each agent reading it at its own pace."""
    workers = [free(agent_id=f"w{n}", capacity=rng.randint(1, 3)) for n in range(agents)]
    spoken: list[Event] = [new(f"t{n}") for n in range(tasks)]
    read = [0] * agents
    at_work: list[deque[str]] = [deque() for _ in workers]
    started: Counter[str] = Counter()

    def carry_out(n: int, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Say):
                spoken.append(event(action.kind, action.body))
            elif isinstance(action, Run):
                started[action.lease.task_id] += 1
                at_work[n].append(action.lease.task_id)

    while any(read[n] < len(spoken) or at_work[n] for n in range(agents)):
        n = rng.randrange(agents)
        if at_work[n] and rng.random() < 0.5:
            carry_out(n, done(workers[n], at_work[n].popleft()))
        elif read[n] < len(spoken):
            read[n] += 1
            carry_out(n, workers[n].on_event(spoken[read[n] - 1], 1.0))
    assert started == Counter({f"t{n}": 1 for n in range(tasks)})
    assert all(w.leader is Leader.NONE and len(w.running) == 0 for w in workers)


def notes(actions: list[Action]) -> list[str]:
    return [action.text for action in actions if isinstance(action, Note)]


def test_it_hears_the_commons_only_while_nobody_leads() -> None:
    w = worker()
    assert Listen() in w.settled(0.0)
    assert Ignore() in w.on_event(event(Kind.DISPATCHER, Dispatcher(instance="d", epoch=1)), 0.2)
    assert w.on_event(event(Kind.DISPATCHER, Dispatcher(instance="d", epoch=1)), 0.3) == []
    assert Listen() in w.on_event(event(Kind.DISPATCHER, Cleared()), 1.0)


def test_it_says_who_leads_once_that_has_settled() -> None:
    w = worker()
    assert notes(w.settled(0.0)) == []
    w.on_event(event(Kind.DISPATCHER, Dispatcher(instance="d", epoch=1)), 0.2)
    assert notes(w.tick(1.1)) == []
    assert w.wake(1.1) == 1.2
    assert notes(w.tick(1.2)) == ["a dispatcher leads: it gives the tasks out"]
    assert notes(w.tick(9.0)) == []
    w.on_event(event(Kind.DISPATCHER, Cleared()), 10.0)
    w.on_event(event(Kind.DISPATCHER, Dispatcher(instance="d", epoch=2)), 10.5)
    assert notes(w.tick(12.0)) == []
    w.on_event(event(Kind.DISPATCHER, Cleared()), 13.0)
    assert notes(w.tick(14.0)) == ["no dispatcher: the first claim heard takes a task"]


def test_it_follows_the_epoch_of_whoever_leads_after_nobody_did() -> None:
    """A dispatcher on another host may begin with an older one; all its offers would be declined for ever."""
    w = led(epoch=5)
    assert says(w.on_event(offer(epoch=4), 1.0), Declined)
    assert w.on_event(event(Kind.DISPATCHER, Dispatcher(instance="late", epoch=3)), 2.0) is not None
    assert says(w.on_event(offer(epoch=3), 2.0), Declined)
    w.on_event(event(Kind.DISPATCHER, Cleared()), 3.0)
    w.on_event(event(Kind.DISPATCHER, Dispatcher(instance="other", epoch=3)), 4.0)
    assert runs(w.on_event(offer(attempt=2, epoch=3), 4.0)) == ["t"]


def test_what_it_declined_it_does_not_take_when_it_is_offered_once_more() -> None:
    """An offer is said again while no answer is heard; the first answer may be, and gives the task to another."""
    w = led()
    w.on_event(offer("first"), 1.0)
    assert says(w.on_event(offer("t"), 1.0), Declined)
    w.finished("first", Complete(task_id="first", agent_id="w", attempt=1, epoch=1), 2.0)
    again = w.on_event(offer("t"), 3.0)
    assert not runs(again)
    assert [body.reason for body in says(again, Declined)] == ["it was declined before"]
    assert runs(w.on_event(offer("t", attempt=2), 4.0)) == ["t"]


def proved_offer(task_id: str, *, at: float, epoch: int = 1) -> Event:
    return msgspec.structs.replace(offer(task_id, epoch=epoch), proved_by="swarm", at=at)


def test_a_proved_offer_that_is_far_older_than_the_newest_of_its_epoch_is_said_again_by_somebody() -> None:
    w = led(capacity=9)
    assert runs(w.on_event(proved_offer("new", at=5000.0), 1.0)) == ["new"]
    assert runs(w.on_event(proved_offer("late", at=5000.0 - OFFER_LIFE), 1.0)) == ["late"]
    old = w.on_event(proved_offer("old", at=4900.0), 1.0)
    assert [body.reason for body in says(old, Declined)] == ["offered 100 s ago"]


def test_the_offers_of_a_next_leader_count_though_its_clock_is_behind() -> None:
    w = led(capacity=9)
    assert runs(w.on_event(proved_offer("ahead", at=5000.0), 1.0)) == ["ahead"]
    assert runs(w.on_event(proved_offer("behind", at=100.0, epoch=2), 2.0)) == ["behind"]
    # Of the former one nothing counts any more, how new it may seem.
    for again in ("of-the-former", "late"):
        said = w.on_event(proved_offer(again, at=9000.0, epoch=1), 3.0)
        assert says(said, Declined)
        assert not runs(said)


def test_a_leader_that_offered_and_was_declined_ends_the_former_ones_offers_too() -> None:
    w = led(epoch=1)
    assert runs(w.on_event(proved_offer("first", at=5000.0), 1.0)) == ["first"]
    assert says(w.on_event(proved_offer("busy", at=100.0, epoch=2), 2.0), Declined)
    w.finished("first", Complete(task_id="first", agent_id="w", attempt=1, epoch=1), 2.0)
    said = w.on_event(proved_offer("again", at=5000.0, epoch=1), 3.0)
    assert [body.reason for body in says(said, Declined)] == ["epoch 1 is over: 2 has offered"]
