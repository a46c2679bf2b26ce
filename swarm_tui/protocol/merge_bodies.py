"""Payloads about merges of what tasks wrote."""

from typing import Literal

from swarm_tui.protocol.base_body import Body
from swarm_tui.protocol.topics import Kind


class MergeAct(Body, frozen=True, kw_only=True):
    """Body of merges/act: an operator's word on what becomes of a task's work. `into` is the branch to merge into."""

    task_id: str
    act: Literal["merge", "withdraw", "discard"]
    into: str = ""
    reason: str = ""


class MergeState(Body, frozen=True, kw_only=True):
    """Body of merges/state: how far the merge of a task's work is; `state` is as docs/PROTOCOL.md lists them."""

    task_id: str
    state: str
    target: str = ""
    reason: str = ""
    run_id: str | None = None
    """The run of its steps."""
    follow_up: str = ""
    """The task by which its agent mends it."""
    commit: str = ""
    """The commit by which it got into the target."""
    checks: dict[str, str] = {}
    position: int | None = None
    """Its place in the queue, from 1."""
    by: str = ""


MERGE_BODY: dict[Kind, type[Body]] = {
    Kind.MERGE_ACT: MergeAct,
    Kind.MERGE_STATE: MergeState,
}
