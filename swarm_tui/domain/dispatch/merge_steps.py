"""The steps of a merge, as a workflow."""

import re
from collections.abc import Container
from itertools import chain, count

from swarm_tui.domain.dispatch.merge_record import MergeRecord
from swarm_tui.domain.dispatch.model import Job
from swarm_tui.domain.dispatch.offer import declared, is_live
from swarm_tui.domain.dispatch.turn import Turn
from swarm_tui.domain.workflows.model import Step, Workflow
from swarm_tui.protocol.names import MERGE_TYPE

#: Checks of a merge where the layout names none: of these, what somebody does.
USUAL_CHECKS = ("testing.run", "code.review")
REBASE, LAND = "rebase", "land"
#: Letters of a check's name in its step's, which has at most 48 with what stands before and behind.
_LONGEST = 36
#: Names that no step of a check can have.
_TAKEN = frozenset({REBASE, LAND, "inputs", "item", "run"})


def agent_of(turn: Turn, job: Job) -> str | None:
    """Return the agent on whose host the work lies, while it is there; None: whoever finds it."""
    agent = turn.state.agents.get(job.agent_id or "")
    return agent.agent_id if agent is not None and is_live(turn, agent) else None


def of_discard(turn: Turn, job: Job) -> Workflow:
    """Return the one step by which a task's work is thrown away."""
    payload = {"act": "discard", "task_id": job.task_id}
    return Workflow(
        workflow="discard", steps={"discard": Step(type=MERGE_TYPE, payload=payload, assigned_to=agent_of(turn, job))}
    )


def of_merge(turn: Turn, job: Job, record: MergeRecord) -> Workflow:
    """Return the steps of a merge as the layout has them now."""
    agent = agent_of(turn, job)
    first = {"act": "rebase", "task_id": job.task_id, "into": record.target}
    steps = {REBASE: Step(type=MERGE_TYPE, payload=first, assigned_to=agent, priority="high")}
    result = {"repo": "{rebase.result.repo}", "base": "{rebase.result.onto}", "head": "{rebase.result.commit}"}
    for check in checks_of(turn):
        steps[_step_of(check, steps)] = Step(type=check, needs=[REBASE], payload=result, priority="high", sure=True)
    last = {
        "act": "land",
        "task_id": job.task_id,
        "into": "{rebase.result.target}",
        "onto": "{rebase.result.onto}",
        "commit": "{rebase.result.commit}",
        "tip": "{rebase.result.tip}",
    }
    steps[LAND] = Step(type=MERGE_TYPE, needs=list(steps), payload=last, assigned_to=agent, priority="high")
    return Workflow(workflow="merge", steps=steps)


def checks_of(turn: Turn) -> tuple[str, ...]:
    """Return the types of the checks of a merge: the layout's, or of the usual ones those that somebody does."""
    named = turn.state.settings.merge_checks
    return named if named is not None else tuple(check for check in USUAL_CHECKS if declared(turn, check))


def _step_of(check: str, others: Container[str]) -> str:
    """Return the name of a check's step: of two types with one name each has a step of its own."""
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", check)[:_LONGEST]
    return free_name(name if name[0].isalpha() and name not in _TAKEN else f"check-{name}", others)


def free_name(name: str, taken: Container[str]) -> str:
    """Return the name, with a number behind it where it is taken."""
    numbered = (f"{name}-{number}" for number in count(2))
    return next(free for free in chain([name], numbered) if free not in taken)
