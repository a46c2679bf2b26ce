"""Every reply to a query is one that its reader takes, whatever the tasks hold."""

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swarm_tui.agent.roles.task_manager.task_queries import answers
from swarm_tui.domain.dispatch import Job
from swarm_tui.domain.dispatch.model import Attempt
from swarm_tui.domain.states import TaskState
from swarm_tui.journal.dispatch import Journal
from swarm_tui.protocol.bodies import Query, Task
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import Hop
from swarm_tui.protocol.topics import Kind
from tests.examples import examples

ASK = Event(
    topic="s/operators/c/query", kind=Kind.QUERY, key="c", id="q" * 128, at=0.0, received=0.0, sender="operator:a@b",
    role=None, body=Query(query="tasks"), payload={},
)  # fmt: skip


def nested(depth: int, leaf: Any = 1) -> Any:
    for _ in range(depth):
        leaf = {"a": leaf}
    return leaf


def job(task_id: str, payload: dict[str, Any], result: Any = None, *, history: int = 0, word: str = "x") -> Job:
    """A task with `history` attempts that failed, each with a long reason."""
    said = word * 500
    return Job(
        task=Task(task_id=task_id, type="noop", payload=payload), digest="", seq=1,
        created_at=1.0, updated_at=1.0, state=TaskState.DEAD, ended_at=1.0, result=result, error=word * 4000,
        reason=word * 1000, message=said, late=[said] * min(history, 20),
        hops=[Hop(at=float(n), what="failed", agent_id="a" * 64, by="b" * 160, detail=said) for n in range(history)],
        attempts=[Attempt(number=n, epoch=1, agent_id="a" * 64, outcome="failed", error=said) for n in range(history)],
    )  # fmt: skip


def told(jobs: list[Job], query: str = "tasks", **args: Any) -> list[dict[str, Any]]:
    """The rows that an operator's client gets: of replies that its reader takes."""
    journal = Journal(None)
    journal.commit(jobs, [])
    writer = Writer("s", "m" * 64, "task-manager", new_id=lambda: "i" * 36, clock=lambda: 1.7e9)
    rows: list[dict[str, Any]] = []
    replies = list(answers(ASK, Query(query=query, args=args), journal, "m" * 64))
    for reply in replies:
        message = writer.message(Kind.REPLY, reply, "c")
        heard = decode("s", message.topic, message.payload, False, 1.7e9)
        assert isinstance(heard, Event), heard
        rows += heard.payload["rows"]
    assert [reply.more for reply in replies] == [True] * (len(replies) - 1) + [False]
    journal.close()
    return rows


JSON = st.one_of(
    st.builds(nested, st.integers(0, 31), st.just(0)),
    st.builds(lambda n: [0] * n, st.integers(0, 9_999)),
    st.builds(lambda n, unit: unit * n, st.integers(0, 30_000), st.sampled_from(["x", '"', "é", ",", "{", "[]"])),
    st.builds(lambda n: [{"a": [n]}] * n, st.integers(0, 3_000)),
)
JOBS = st.builds(
    lambda payload, result, history, word: job("t", {"p": payload}, result, history=history, word=word),
    JSON, JSON, st.sampled_from([0, 1, 3, 50, 200]), st.sampled_from(["x", '"', "😀", ","]),
)  # fmt: skip


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(JOBS, max_size=6), st.integers(1, 12))
def test_every_page_is_read(some: list[Job], times: int) -> None:
    jobs = []
    for n in range(times):
        for m, made in enumerate(some):
            shown = job(f"t{n}-{m}", made.task.payload, made.result)
            shown.hops, shown.attempts, shown.late, shown.error = made.hops, made.attempts, made.late, made.error
            jobs.append(shown)
    assert {row["task_id"] for row in told(jobs)} == {made.task_id for made in jobs}
    for made in jobs[: len(some)]:
        assert len(told([made], "task", task_id=made.task_id)) == 1


def test_a_list_is_paged_by_values_too() -> None:
    rows = told([job(f"t{n}", {}, [0] * 3900) for n in range(12)])
    assert [len(row["result"]) for row in rows] == [3900] * 12


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (nested(29), "nests over 28 deep"),
        ({"l": [0] * 9_500}, "holds over 9,000 values"),
        ({"x": "y" * 100_000}, "bytes; at most"),
    ],
)
def test_what_no_reply_can_hold_says_so_in_its_place(payload: dict[str, Any], why: str) -> None:
    (row,) = told([job("t", payload, {"ok": 1}, history=2)], "task", task_id="t")
    assert why in row["payload"]["left_out"]
    assert row["result"] == {"ok": 1}
    assert len(row["hops"]) == 2


def test_what_fits_a_reply_is_shown_whole() -> None:
    payload = nested(27)
    (row,) = told([job("t", payload, {"text": '{[,"' * 9_000}, history=20)], "task", task_id="t")
    assert row["payload"] == payload
    assert row["result"] == {"text": '{[,"' * 9_000}
    assert (len(row["hops"]), len(row["errors"]), len(row["late"])) == (20, 20, 20)


def test_a_long_history_is_cut_in_its_middle_and_says_so() -> None:
    (row,) = told([job("t", {"n": 1}, history=200, word="é")], "task", task_id="t")
    assert row["payload"] == {"n": 1}
    marks = [hop for hop in row["hops"] if hop["what"] == "left out"]
    assert len(marks) == 1
    assert "of 200 are left out" in marks[0]["detail"]
    assert (row["hops"][0]["at"], row["hops"][-1]["at"]) == (0.0, 199.0)
    assert any("of 200 are left out" in line for line in row["errors"])


ANY_ARGS = st.dictionaries(
    st.sampled_from(["state", "type", "limit", "offset", "task_id"]),
    st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.floats(), st.text(max_size=5),
        st.sampled_from([[], {}, [1], {"a": 1}, "dead", "noop", "t"]),
    ),
)  # fmt: skip


@settings(deadline=None)
@given(st.sampled_from(["tasks", "task", "status"]), ANY_ARGS)
@example("tasks", {"state": []})
@example("tasks", {"type": {}})
@example("task", {"task_id": []})
def test_any_arguments_are_answered(query: str, args: dict[str, Any]) -> None:
    journal = Journal(None)
    journal.commit([job("t", {})], [])
    for reply in answers(ASK, Query(query=query, args=args), journal, "m"):
        assert len(reply.rows) <= 1
    journal.close()
