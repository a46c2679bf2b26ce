"""Runs of workflows in the dispatcher's core: what begins when, what is skipped, how a run ends, what a retry does."""

from typing import Any

import pytest

from swarm_tui.domain.dispatch import DispatchSettings, Say
from swarm_tui.domain.dispatch.task_rows import run_row
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.run_bodies import RunNew
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import RULES, World, of, offers

S = TaskState
NOOP = {"type": "noop"}


class Runs:
    """A world with agents that answer what they are offered: `fails` names the steps that fail, `results` theirs."""

    def __init__(self, agents: int = 3, settings: DispatchSettings | None = None) -> None:
        self.world = World(settings)
        for n in range(agents):
            self.world.agent(f"a{n}", capacity=4)
        self.fails: set[str] = set()
        self.results: dict[str, Any] = {}
        self.offered: list[str] = []
        self.done: set[tuple[str, int]] = set()

    def work(self) -> None:
        """Answer all that is offered, until nothing is."""
        while todo := [say for say in offers(self.world.said) if self._key(say) not in self.done]:
            for say in todo:
                if self._key(say) not in self.done:
                    self.answer(say)

    def _key(self, say: Say) -> tuple[str, int]:
        assert isinstance(say.body, b.Inbox)
        return say.body.task_id or "", say.body.attempt or 0

    def answer(self, say: Say) -> None:
        self.done.add(self._key(say))
        task_id = self._key(say)[0]
        step = task_id.partition(".")[2].split(":")[0]
        self.offered.append(task_id)
        self.world.start(say)
        if step in self.fails:
            self.world.fail(say, retryable=False, message=f"{step} broke")
        else:
            self.world.complete(say, self.results.get(step))

    def states(self, run_id: str = "r") -> dict[str, str]:
        return {name: record.state for name, record in self.world.state.runs[run_id].record.steps.items()}

    def outcome(self, run_id: str = "r") -> str:
        return self.world.state.runs[run_id].record.state


def step(*needs: str, **more: Any) -> dict[str, Any]:
    return {"type": "noop", "needs": list(needs), **more}


def test_a_step_begins_when_all_that_it_needs_has_succeeded() -> None:
    runs = Runs()
    says = runs.world.run("r", {"a": NOOP, "b": NOOP, "c": step("a", "b"), "d": step("c")})
    assert of(says, Kind.RUN_STARTED)[0].steps == dict.fromkeys("abcd", "noop")
    assert runs.world.job("r.c").state is S.BLOCKED
    assert [o.body.task_id for o in offers(says)] == ["r.a", "r.b"]
    first, second = offers(says)
    assert offers(runs.world.complete(first)) == []
    assert [o.body.task_id for o in offers(runs.world.complete(second))] == ["r.c"]
    runs.done |= {("r.a", 1), ("r.b", 1)}
    runs.work()
    assert runs.outcome() == "complete"
    (ended,) = of(runs.world.said, Kind.RUN_ENDED)
    assert (ended.outcome, ended.steps) == ("complete", dict.fromkeys("abcd", "complete"))


def test_references_are_resolved_once_their_step_is_ready_and_recorded() -> None:
    runs = Runs()
    runs.results = {"plan": {"parts": [{"prompt": "x"}], "n": 7, "note": None}}
    payload = {
        "whole": "{plan.result.parts}",
        "in": "part {plan.result.n} of {inputs.what}",
        "list": ["{plan.result.parts.0.prompt}", "{{not}}"],
        "state": "{plan.state}",
        "run": "{run.id}",
    }
    runs.world.run(
        "r",
        {"plan": NOOP, "code": step("plan", payload=payload)},
        {"what": "it"},
        inputs={"what": {"type": "string"}, "more": {"type": "integer", "default": 3}},
    )
    assert runs.world.job("r.code").task.payload == payload, "as the workflow has it, until it is ready"
    runs.work()
    assert runs.world.job("r.code").task.payload == {
        "whole": [{"prompt": "x"}],
        "in": "part 7 of it",
        "list": ["x", "{not}"],
        "state": "complete",
        "run": "r",
    }


def test_a_step_with_items_is_a_task_for_each_and_its_result_their_list() -> None:
    runs = Runs()
    runs.results = {"plan": {"parts": [{"p": n} for n in range(5)]}, **{f"code.{n}": {"b": f"b{n}"} for n in range(5)}}
    runs.world.run(
        "r",
        {
            "plan": NOOP,
            "code": step("plan", each="{plan.result.parts}", payload={"p": "{item.p}"}),
            "join": step("code", payload={"all": "{code.result.b}", "third": "{code.result.2.b}"}),
        },
    )
    runs.work()
    assert runs.outcome() == "complete"
    assert [runs.world.job(f"r.code.{n}").task.payload for n in range(5)] == [{"p": n} for n in range(5)]
    assert runs.world.job("r.join").task.payload == {"all": ["b0", "b1", "b2", "b3", "b4"], "third": "b2"}


def test_no_items_are_a_step_that_is_done() -> None:
    runs = Runs()
    runs.results = {"plan": []}
    runs.world.run("r", {"plan": NOOP, "code": step("plan", each="{plan.result}"), "last": step("code")})
    runs.work()
    assert runs.states() == dict.fromkeys(("plan", "code", "last"), "complete")


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (list(range(9_000)), "has 9,000 items, at most 100"),
        ({"a": 1}, "is no list"),
        (None, "is no list"),
    ],
)
def test_a_list_that_cannot_be_is_said_and_nothing_of_the_step_begins(result: Any, says: str) -> None:
    runs = Runs()
    runs.results = {"plan": result}
    runs.world.run("r", {"plan": NOOP, "code": step("plan", each="{plan.result}")})
    runs.work()
    assert runs.states() == {"plan": "complete", "code": "failed"}
    assert says in runs.world.state.runs["r"].record.steps["code"].reason
    assert runs.offered == ["r.plan"]


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        ({"x": "{plan.result.gone}"}, "has no `gone`"),
        ({"x": "{plan.result.big}"}, "references resolved, fits no offer (130,"),
    ],
)
def test_a_reference_to_nothing_or_to_too_much_fails_its_step(payload: Any, says: str) -> None:
    runs = Runs()
    runs.results = {"plan": {"big": "x" * 130_000}}
    runs.world.run("r", {"plan": NOOP, "code": step("plan", payload=payload), "undo": step("code", on="failure")})
    runs.work()
    assert runs.states() == {"plan": "complete", "code": "failed", "undo": "complete"}
    assert says in (runs.world.job("r.code").error or "")
    assert (runs.world.job("r.code").state, runs.outcome()) == (S.FAILED, "failed")


def test_a_run_of_more_steps_than_a_message_holds_is_said_in_one_message_and_ends() -> None:
    runs = Runs(agents=2)
    runs.world.agent("many", capacity=100)
    runs.world.run("r", {f"s{n}": step(*([f"s{n - 100}"] if n >= 100 else [])) for n in range(1500)})
    runs.work()
    assert runs.outcome() == "complete"
    assert len(runs.offered) == 1500


def test_a_guests_run_has_no_more_room_than_a_guests_tasks() -> None:
    settings = DispatchSettings(rules=RULES, proved=True, max_open=10)
    world = World(settings)
    world._issuer = lambda sender: ""  # type: ignore[method-assign,assignment]
    steps = {f"s{n}": NOOP for n in range(9)}
    (said,) = of(world.run("r", steps), Kind.RUN_REJECTED)
    assert "takes 5" in said.reason
    world.run(
        "few", {"a": NOOP, "each": {**NOOP, "each": "{inputs.l}"}}, {"l": [1] * 5}, inputs={"l": {"type": "array"}}
    )
    large = {f"s{n}": {**NOOP, "needs": []} for n in range(3000)}
    assert "not packed" in of(world.run("large", large), Kind.RUN_REJECTED)[-1].reason
    assert world.state.runs["few"].record.steps["each"].reason == "the swarm takes 5 open tasks"


def test_a_packed_workflow_that_is_none_is_refused_in_a_sentence() -> None:
    runs = Runs()
    (said,) = of(runs.world.hear(Kind.RUN_NEW, RunNew(run_id="r", packed="no"), sender="x"), Kind.RUN_REJECTED)
    assert said.reason.startswith("the workflow: `packed` is no workflow: ")
    assert not runs.world.state.runs


def test_a_runs_row_has_each_steps_task_its_result_and_its_error() -> None:
    runs = Runs()
    runs.results, runs.fails = {"a": {"n": 1}, "all.0": {"n": 2}, "all.1": {"n": 3}}, {"bad"}
    runs.world.run("r", {"a": NOOP, "all": step("a", each="{inputs.l}"), "bad": step("all"), "end": step("bad")},
                   {"l": [1, 2]}, inputs={"l": {"type": "array"}})  # fmt: skip
    runs.work()
    whole = run_row(runs.world.state.runs["r"], runs.world.state.jobs.values(), whole=True)
    assert [(row.step, row.task_id, row.result, row.error) for row in whole.steps] == [
        ("a", "r.a", {"n": 1}, None),
        ("all", None, [{"n": 2}, {"n": 3}], None),
        ("bad", "r.bad", None, "bad broke"),
        ("end", "r.end", None, None),
    ]


@pytest.mark.parametrize(
    ("value", "state"), [(True, "complete"), (False, "skipped"), ([], "skipped"), (None, "skipped")]
)
def test_when_decides(value: Any, state: str) -> None:
    runs = Runs()
    runs.results = {"review": {"approved": value}}
    runs.world.run("r", {"review": NOOP, "deploy": step("review", when="{review.result.approved}")})
    runs.work()
    assert runs.states()["deploy"] == state
    assert runs.world.job("r.deploy").state.value == state
    assert runs.outcome() == "complete"


def test_when_that_refers_to_what_is_not_there_says_no() -> None:
    runs = Runs()
    runs.world.run("r", {"review": NOOP, "deploy": step("review", when="{review.result.approved}")})
    runs.work()
    assert "has no `approved`" in runs.world.job("r.deploy").reason


def test_what_is_on_failure_follows_a_failure_and_nothing_else() -> None:
    runs = Runs()
    runs.fails = {"deploy"}
    steps = {
        "deploy": NOOP,
        "after": step("deploy"),
        "undo": step("deploy", on="failure"),
        "tell": step("undo", "after", on="always"),
    }
    runs.world.run("r", steps)
    runs.work()
    assert runs.states() == {"deploy": "failed", "after": "skipped", "undo": "complete", "tell": "complete"}
    assert runs.outcome() == "failed"
    runs.fails = set()
    runs.world.run("q", steps)
    runs.work()
    assert runs.states("q") == {"deploy": "complete", "after": "complete", "undo": "skipped", "tell": "complete"}


@pytest.mark.parametrize(("on_failure", "other"), [("stop", "skipped"), ("continue", "complete")])
def test_a_failure_stops_the_run_or_only_what_needs_it(on_failure: str, other: str) -> None:
    runs = Runs(agents=1)
    runs.fails = {"a"}
    runs.world.run("r", {"a": NOOP, "b": step("a"), "x": NOOP, "y": step("x")}, on_failure=on_failure)
    runs.work()
    assert runs.states() == {"a": "failed", "b": "skipped", "x": "complete", "y": other}


def test_a_verdict_of_failed_counts_as_a_failure() -> None:
    runs = Runs()
    runs.results = {"test": {"verdict": "failed"}}
    runs.world.run("r", {"test": NOOP, "deploy": step("test")})
    runs.work()
    assert runs.states() == {"test": "failed", "deploy": "skipped"}
    assert runs.world.job("r.test").state is S.COMPLETE


def test_a_retry_does_again_what_failed_and_not_what_succeeded() -> None:
    runs = Runs()
    runs.fails = {"code.1", "test"}
    runs.results = {"plan": ["x", "y", "z"]}
    steps = {
        "plan": NOOP,
        "code": step("plan", each="{plan.result}"),
        "test": step("plan"),
        "last": step("code", "test", payload={"all": "{code.result}"}),
        "tell": step("test", on="failure"),
    }
    runs.world.run("r", steps, on_failure="continue")
    runs.work()
    assert (runs.outcome(), runs.states()["tell"]) == ("failed", "complete")
    runs.fails, runs.offered = set(), []
    runs.results["code.1"] = "now"
    runs.world.act_on_run(Kind.RUN_RETRY, "r")
    runs.work()
    assert sorted(runs.offered) == ["r.code.1:2", "r.last:2", "r.test:2"]
    assert runs.states() == {**dict.fromkeys(steps, "complete"), "tell": "skipped"}
    assert runs.world.job("r.last:2").task.payload == {"all": [None, "now", None]}
    assert runs.outcome() == "complete"
    assert runs.world.job("r.test").state is S.FAILED, "the record of the first time stays"


def test_what_answers_to_a_step_is_done_again_with_it() -> None:
    runs = Runs()
    runs.fails = {"deploy"}
    runs.world.run("r", {"deploy": NOOP, "undo": step("deploy", on="failure")})
    for _ in range(2):
        runs.work()
        runs.world.act_on_run(Kind.RUN_RETRY, "r")
    assert runs.offered == ["r.deploy", "r.undo", "r.deploy:2", "r.undo:2"]


def test_from_a_step_on_all_is_done_again_also_what_succeeded() -> None:
    runs = Runs()
    runs.results = {"plan": [1, 2]}
    steps = {"plan": NOOP, "each": step("plan", each="{plan.result}"), "end": step("each"), "other": step("plan")}
    runs.world.run("r", steps)
    runs.work()
    assert "only one that failed" in of(runs.world.act_on_run(Kind.RUN_RETRY, "r"), Kind.ALERT)[0].message
    assert "it has no step no" in of(runs.world.act_on_run(Kind.RUN_RETRY, "r", "no"), Kind.ALERT)[0].message
    runs.offered.clear()
    runs.world.act_on_run(Kind.RUN_RETRY, "r", "each")
    runs.work()
    assert runs.offered == ["r.each.0:2", "r.each.1:2", "r.end:2"]
    assert (runs.outcome(), len(of(runs.world.said, Kind.RUN_ENDED))) == ("complete", 2)


def test_a_cancelled_run_begins_nothing_more_and_ends_once() -> None:
    runs = Runs()
    says = runs.world.run(
        "r", {"a": NOOP, "b": step("a"), "undo": step("a", on="failure"), "z": step("a", on="always")}
    )
    (offer,) = offers(says)
    runs.world.start(offer)
    says = runs.world.act_on_run(Kind.RUN_CANCEL, "r")
    assert runs.states() == {"a": "running", "b": "skipped", "undo": "skipped", "z": "skipped"}
    runs.world.fail(offer, retryable=False, message="cancelled", cause="cancelled")
    (ended,) = of(runs.world.said, Kind.RUN_ENDED)
    assert (ended.outcome, ended.steps["a"]) == ("cancelled", "cancelled")
    assert runs.world.state.open == 0
    runs.world.act_on_run(Kind.RUN_RETRY, "r")
    runs.done.add(("r.a", 1))
    runs.work()
    assert runs.outcome() == "complete"


def test_a_halt_cancels_runs_and_begins_nothing_for_it() -> None:
    runs = Runs()
    runs.world.run("r", {"a": {"type": "deployment.deploy"}, "undo": step("a", on="failure")})
    runs.world.hear(Kind.HALT, b.Halt(reason="stop"), sender="operator:ann@box")
    assert runs.states() == {"a": "cancelled", "undo": "skipped"}
    assert runs.outcome() == "cancelled"


def test_a_step_may_ask_for_a_person_whatever_its_type() -> None:
    runs = Runs()
    runs.world.run("r", {"a": {"type": "noop", "approve": True}, "b": step("a", on="always")})
    job = runs.world.job("r.a")
    assert job.state is S.AWAITING_APPROVAL
    runs.world.act(Kind.TASK_APPROVE, "r.a", payload_hash=job.payload_hash)
    runs.work()
    assert runs.outcome() == "complete"


def test_a_run_goes_on_after_a_crash_as_it_was() -> None:
    runs = Runs()
    runs.results = {"plan": [1, 2]}
    runs.world.run("r", {"plan": NOOP, "code": step("plan", each="{plan.result}"), "last": step("code")})
    (offer,) = offers(runs.world.said)
    runs.world.crash()
    runs.world.agent("a0", capacity=4)
    runs.answer(offer)
    runs.world.crash()
    runs.world.agent("a0", capacity=4)
    runs.work()
    assert runs.outcome() == "complete"
    assert runs.offered == ["r.plan", "r.code.0", "r.code.1", "r.last"]
    assert len(of(runs.world.said, Kind.RUN_ENDED)) == 1


def test_the_same_run_again_is_answered_and_another_of_its_id_refused() -> None:
    runs = Runs()
    runs.world.run("r", {"a": NOOP})
    (again,) = of(runs.world.run("r", {"a": NOOP}), Kind.RUN_STARTED)
    assert (again.duplicate, again.state) == (True, "running")
    (refused,) = of(runs.world.run("r", {"b": NOOP}), Kind.RUN_REJECTED)
    assert "taken by a run of another workflow" in refused.reason
    assert runs.world.state.open == 1


@pytest.mark.parametrize(
    ("steps", "inputs", "says"),
    [
        ({"a": {"type": "nobody.does"}}, {}, "steps.a.type: neither the layout nor any"),
        ({"a": step("b"), "b": step("a")}, {}, "a cycle"),
        ({"a": step("b")}, {}, "no step `b`"),
        ({}, {}, "at least one step"),
        ({"a": {"typ": "noop"}}, {}, "unknown field"),
        ({"a": NOOP}, {"x": 1}, "no input `x`"),
    ],
)
def test_a_run_that_cannot_be_is_refused_whole(steps: Any, inputs: Any, says: str) -> None:
    runs = Runs()
    (refused,) = of(runs.world.run("r", steps, inputs), Kind.RUN_REJECTED)
    assert says in refused.reason
    assert (runs.world.state.jobs, runs.world.state.runs, runs.world.run_rows) == ({}, {}, {})


def test_a_task_may_not_take_the_id_of_a_step() -> None:
    runs = Runs()
    runs.world.submit("q.a")
    assert "another run id" in of(runs.world.run("q", {"a": NOOP}), Kind.RUN_REJECTED)[0].reason
    runs.world.run("r", {"a": NOOP, "b": step("a", each="{a.result}")})
    assert "those of the run r" in of(runs.world.submit("r.b.0"), Kind.TASK_REJECTED)[0].reason


def test_a_step_that_ended_is_not_redriven_by_itself() -> None:
    runs = Runs()
    runs.fails = {"a"}
    runs.world.run("r", {"a": NOOP})
    runs.work()
    (alert,) = of(runs.world.act(Kind.TASK_REDRIVE, "r.a"), Kind.ALERT)
    assert "swarm-tui retry r" in alert.message
    assert runs.world.job("r.a").state is S.FAILED


@pytest.mark.drill
def test_a_run_of_five_thousand_steps_works() -> None:
    runs = Runs(agents=5, settings=DispatchSettings(rules=RULES))
    runs.results = {"plan": list(range(100))}
    steps: dict[str, Any] = {"plan": NOOP}
    for n in range(50):
        steps[f"s{n}"] = step(
            "plan" if n < 25 else f"s{n - 25}", each="{plan.result}" if n < 25 else f"{{s{n - 25}.result}}"
        )
    runs.world.run("r", steps)
    runs.work()
    assert (runs.outcome(), len(runs.offered)) == ("complete", 5001)


def test_a_chain_of_two_thousand_steps_skips_without_recursion() -> None:
    runs = Runs()
    runs.fails = {"s0"}
    steps: dict[str, Any] = {"s0": NOOP} | {f"s{n}": step(f"s{n - 1}") for n in range(1, 2000)}
    runs.world.run("r", steps, on_failure="continue")
    runs.work()
    assert runs.outcome() == "failed"
    assert runs.states()["s1999"] == "skipped"


def test_the_tasks_that_are_blocked_as_it_begins_are_told_with_it_and_anew_by_a_retry() -> None:
    runs = Runs()
    runs.fails = {"b"}
    steps = {"a": NOOP, "b": step("a"), "c": step("b"), "many": step("a", each="{a.result}")}
    runs.results = {"a": [1, 2]}
    runs.world.run("r", steps)
    runs.work()
    runs.fails = set()
    runs.world.act_on_run(Kind.RUN_RETRY, "r")
    assert [told.blocked for told in of(runs.world.said, Kind.RUN_STARTED)] == [
        ["r.a", "r.b", "r.c"],
        ["r.b:2", "r.c:2"],
    ]
    says = runs.world.run("big", {f"s{n}": NOOP for n in range(201)})
    assert of(says, Kind.RUN_STARTED)[0].blocked == []
