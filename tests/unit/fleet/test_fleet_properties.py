"""Whatever comes, in whatever order: nothing raises, ends stay, counts are right, equal facts give equal states."""

import json
import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.problems import problems
from swarm_tui.domain.states import ENDED, TaskState
from swarm_tui.domain.summary import header, status_json, task_counts
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from tests.examples import examples
from tests.unit.fleet.swarm import SWARM, Paper, story

AGENTS = st.sampled_from(["a1", "a2", "slow", "", "bad id", "x" * 70])
TASKS = st.sampled_from(["t1", "t2", "t3", "bad id", ""])
ANY = st.one_of(
    st.none(), st.integers(-5, 5), st.floats(), st.text(max_size=8), st.booleans(), st.just([]), st.just({})
)
PANE = st.fixed_dictionaries({"agent_id": AGENTS, "state": st.text(max_size=9), "pid": ANY})
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "task_id": TASKS,
    "agent_id": AGENTS,
    "attempt": st.one_of(st.integers(0, 4), ANY),
    "epoch": st.one_of(st.integers(0, 2), ANY),
    "state": st.one_of(st.sampled_from([s.value for s in TaskState]), ANY),
    "status": st.one_of(st.sampled_from(["online", "offline", "busy", "draining", "success"]), ANY),
    "incarnation": st.sampled_from(["i1", "i2", "i3"]),
    "progress": ANY, "uptime": ANY, "cpu": ANY, "memory": ANY, "capacity": ANY, "reason": ANY, "delay": ANY,
    "duplicate": ANY, "retryable": ANY, "error": ANY, "result": ANY, "duration": ANY, "payload": ANY, "type": ANY,
    "instance": st.sampled_from(["x", "y"]), "online": ANY, "name": ANY, "active": ANY, "desired": ANY,
    "panes": st.one_of(ANY, st.lists(PANE, max_size=3)),
}  # fmt: skip
PAYLOAD = st.fixed_dictionaries({}, optional=FIELDS)
TOPIC = st.builds(
    lambda kind, key: kind.value.replace("+", key or "k") or "_a/a1/agents/heartbeat",
    st.sampled_from(list(Kind)),
    st.sampled_from(["a1", "a2", "x y", "h"]),
)
MESSAGE = st.tuples(TOPIC, PAYLOAD, st.booleans(), st.sampled_from([0.0, 0.1, 20.0, 90_000.0]))


def feed(fleet: Fleet, messages: list[tuple[str, dict[str, Any], bool, float]]) -> list[Event]:
    now, taken = 1_800_000_000.0, []
    for topic, payload, retained, gap in messages:
        now += gap
        raw = b"" if payload.get("online") is True else _json({"agent_id": "a1", "payload": payload})
        event = decode(SWARM, f"{SWARM}/{topic}", raw, retained, now)
        assert event is not None
        ended = {task_id for task_id, task in fleet.tasks.items() if task.state in ENDED}
        fleet.apply(event, now)
        fleet.tick(now)
        if isinstance(event, Event):
            taken.append(event)
            if event.kind not in (Kind.TASK_QUEUED, Kind.TASK_ASSIGNED, Kind.TASK_REJECTED):
                _ends_hold(fleet, ended, event)
    status_json(fleet, now=now)
    problems(fleet, now)
    header(fleet, now)
    return taken


def _ends_hold(fleet: Fleet, ended: set[str], event: Event) -> None:
    """No worker's word about the attempt that ended, or one before it, opens an end."""
    attempt = getattr(event.body, "attempt", None)
    worker = event.kind in (Kind.TASK_STARTED, Kind.TASK_PROGRESS, Kind.TASK_COMPLETE, Kind.TASK_FAILED)
    for task_id in ended & set(fleet.tasks):
        task = fleet.tasks[task_id]
        if task.rejected is not None and task.word is None and task.failure is None:
            # Refused was another task of that id, unless nobody works on this one.
            continue
        if worker and (attempt is None or attempt < task.attempt):
            assert task.state in ENDED, (event, task)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@settings(max_examples=examples(80), deadline=None)
@given(st.lists(MESSAGE, max_size=30))
def test_nothing_raises_and_the_counts_are_those_of_a_recount(
    messages: list[tuple[str, dict[str, Any], bool, float]],
) -> None:
    fleet = Fleet(SWARM)
    fleet.link(True, "", 1_800_000_000.0)
    feed(fleet, messages)
    recount = Counter(task.state.value for task in fleet.tasks.values())
    assert {state: count for state, count in task_counts(fleet).items() if count} == dict(recount)
    for state, ids in fleet.by_state.items():
        assert all(fleet.tasks[task_id].state is state for task_id in ids)
    holding = {(t.agent_id, t.task_id) for t in fleet.tasks.values() if t.state in ("assigned", "running")}
    for agent in fleet.agents.values():
        assert {(agent.agent_id, task_id) for task_id in agent.tasks} <= holding
    assert fleet.counts.received == len(messages)


@settings(max_examples=examples(60), deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 14), st.booleans())
def test_the_same_facts_in_any_order_with_any_doubles_give_the_same(seed: int, upto: int, cancelled: bool) -> None:
    paper, rng = Paper(), random.Random(seed)
    events = story(paper, "t")[:upto]
    if cancelled:
        events.append(paper.event("tm", Kind.TASK_CANCELLED, b.TaskVerdict(task_id="t", attempt=3, reason="x")))
    shuffled = events + rng.choices(events, k=len(events)) if events else []
    rng.shuffle(shuffled)

    def outcome(sequence: list[Event]) -> object:
        fleet = Fleet(SWARM)
        for event in sequence:
            fleet.apply(event, paper.now)
        if not fleet.tasks:
            return None
        task = fleet.tasks["t"]
        hops = sorted((hop.what, hop.agent_id or "", hop.attempt or 0) for hop in task.hops)
        return task.state, task.attempt, task.agent_id, task.result, task.error, task.progress, sorted(task.late), hops

    assert outcome(shuffled) == outcome(events)


@settings(max_examples=examples(25), deadline=None)
@given(st.integers(0, 2**32))
def test_an_end_absorbs_every_old_message_of_its_story(seed: int) -> None:
    paper, rng = Paper(), random.Random(seed)
    events = story(paper, "t")
    for event in events:
        paper.fleet.apply(event, paper.now)
    for event in rng.choices(events, k=40):
        paper.fleet.apply(event, paper.now)
        assert paper.fleet.tasks["t"].state is TaskState.COMPLETE
    assert paper.fleet.tasks["t"].result == {"n": 3}
