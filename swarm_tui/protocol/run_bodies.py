"""Payloads about runs of workflows, and schedules."""

import zlib
from base64 import b64decode, b64encode
from typing import Literal

import msgspec

from swarm_tui.protocol.base_body import Body, JsonObject
from swarm_tui.protocol.raw import MAX_DEPTH, RefusedError, check_numbers, has_long_number, too_much
from swarm_tui.protocol.topics import Kind

#: Bytes and values of a workflow's JSON: those of one that a message holds as it is, and of any.
AS_IT_IS = (64 * 1024, 5_000)
MAX_WORKFLOW = (1 << 20, 100_000)


class RunNew(Body, frozen=True, kw_only=True):
    """Body of runs/new: run this workflow, whole as its file has it, with these inputs."""

    run_id: str
    workflow: JsonObject = {}
    inputs: JsonObject = {}
    packed: str | None = None
    """The workflow in its place, where it is too large for a message: base64 of its JSON, compressed by zlib."""


class RunStarted(Body, frozen=True, kw_only=True):
    """Body of runs/started: the run is journaled. `steps` has the type of each, where they are not too many."""

    run_id: str
    workflow: str = ""
    steps: dict[str, str] = {}
    blocked: list[str] = []
    """Ids of the tasks that wait for others or for their turn, one a step; where they are not too many."""
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
    step: str | None = None
    """Of a retry: the step from which all is done again, also what succeeded."""


class ScheduleAct(Body, frozen=True, kw_only=True):
    """Body of schedules/act: an operator's act on a schedule."""

    name: str
    act: Literal["pause", "resume", "fire"]
    reason: str = ""


def new_run(run_id: str, workflow: JsonObject, inputs: JsonObject) -> RunNew:
    """Return the body that asks for a run; a large workflow is packed."""
    raw = msgspec.json.encode(workflow)
    size, values = AS_IT_IS
    if too_much(raw, size=size, values=values) is None:
        return RunNew(run_id=run_id, workflow=workflow, inputs=inputs)
    return RunNew(run_id=run_id, inputs=inputs, packed=b64encode(zlib.compress(raw, 9)).decode())


def workflow_of(run: RunNew) -> JsonObject:
    """Return the workflow that the body asks for. Raises RefusedError for a packed one that is none, or too large."""
    if run.packed is None:
        return run.workflow
    size, values = MAX_WORKFLOW
    try:
        # Whatever it would unpack to, no more than that is.
        raw = zlib.decompressobj().decompress(b64decode(run.packed, validate=True), size + 1)
        if why := too_much(raw, size=size, depth=MAX_DEPTH, values=values):
            raise RefusedError(f"unpacked it {why}")
        found = msgspec.json.decode(raw)
    except (ValueError, zlib.error, RecursionError) as error:
        raise RefusedError(f"`packed` is no workflow: {error}") from None
    if not isinstance(found, dict):
        raise RefusedError("`packed` is no workflow: no JSON object")
    if has_long_number(raw):
        check_numbers(found)
    return found


RUN_BODY: dict[Kind, type[Body]] = {
    Kind.RUN_NEW: RunNew,
    Kind.RUN_STARTED: RunStarted,
    Kind.RUN_REJECTED: RunRejected,
    Kind.RUN_ENDED: RunEnded,
    Kind.RUN_CANCEL: RunAct,
    Kind.RUN_RETRY: RunAct,
    Kind.SCHEDULE_ACT: ScheduleAct,
}
