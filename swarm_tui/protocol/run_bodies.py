"""Payloads about runs of workflows, and schedules."""

from typing import Literal

from swarm_tui.protocol.base_body import Body, JsonObject
from swarm_tui.protocol.topics import Kind


class RunNew(Body, frozen=True, kw_only=True):
    """Body of runs/new: run this workflow, whole as its file has it, with these inputs."""

    run_id: str
    workflow: JsonObject
    inputs: JsonObject = {}


class RunStarted(Body, frozen=True, kw_only=True):
    """Body of runs/started: the run is journaled. `steps` has the type of each, where they are not too many."""

    run_id: str
    workflow: str = ""
    steps: dict[str, str] = {}
    duplicate: bool = False
    state: str | None = None
    """Of a duplicate: the run's state by now."""


class RunRejected(Body, frozen=True, kw_only=True):
    """Body of runs/rejected: the dispatcher does not take a run, and says why; nothing of it was begun."""

    run_id: str
    reason: str = ""


class RunEnded(Body, frozen=True, kw_only=True):
    """Body of runs/ended: `outcome` is complete, failed or cancelled; `steps` has the state of each."""

    run_id: str
    workflow: str = ""
    outcome: str = "complete"
    reason: str = ""
    steps: dict[str, str] = {}


class RunAct(Body, frozen=True, kw_only=True):
    """Body of runs/cancel and runs/retry: an operator's act on a run."""

    run_id: str
    reason: str = ""


class ScheduleAct(Body, frozen=True, kw_only=True):
    """Body of schedules/act: an operator's act on a schedule."""

    name: str
    act: Literal["pause", "resume", "fire"]
    reason: str = ""


RUN_BODY: dict[Kind, type[Body]] = {
    Kind.RUN_NEW: RunNew,
    Kind.RUN_STARTED: RunStarted,
    Kind.RUN_REJECTED: RunRejected,
    Kind.RUN_ENDED: RunEnded,
    Kind.RUN_CANCEL: RunAct,
    Kind.RUN_RETRY: RunAct,
    Kind.SCHEDULE_ACT: ScheduleAct,
}
