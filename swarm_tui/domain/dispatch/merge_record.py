"""A task's merge as the journal keeps it: data, beside the task whose work it is."""

from typing import Literal

from msgspec import Struct, field

from swarm_tui.protocol.merge_bodies import MergeState

#: What a merge may be. `waiting` for its turn, `running` its steps, `mending` by its agent.
MergeStateName = Literal[
    "waiting", "running", "mending", "merged", "returned", "stopped", "withdrawn", "discarding", "discarded"
]
#: States after which nothing more happens by itself.
SETTLED = frozenset({"merged", "returned", "stopped", "withdrawn", "discarded"})


class MergeRecord(Struct, kw_only=True, omit_defaults=True):
    """A merge, or what was thrown away. Times are wall times."""

    state: MergeStateName = "waiting"
    target: str = ""
    """The branch to merge into; empty: the one that the work began from."""
    repo: str = ""
    """The repository, of whose merges one runs at a time."""
    branch: str = ""
    by: str = ""
    asked_at: float = 0.0
    queued_at: float = 0.0
    """Since when it waits for its turn."""
    ended_at: float | None = None
    reason: str = ""
    run_id: str = ""
    """The run of its steps, the last one."""
    rounds: int = 0
    """Runs that it has had so far."""
    moved: int = 0
    """Times that the target moved under it."""
    fixes: int = 0
    """Times that its agent was asked to mend it."""
    follow_up: str = ""
    """The task by which its agent mends it, the last one."""
    commit: str = ""
    """The commit by which it got into the target."""
    checks: dict[str, str] = field(default_factory=dict)
    """Type of each check to its verdict, of the last run."""
    wish: str = ""
    """Why a person wants it to end."""

    @property
    def settled(self) -> bool:
        """Return whether nothing more happens to it by itself."""
        return self.state in SETTLED


def merge_state(task_id: str, record: MergeRecord, position: int | None = None) -> MergeState:
    """Return what is told of a merge; `position` is its place in the queue."""
    return MergeState(
        task_id=task_id,
        state=record.state,
        target=record.target,
        reason=record.reason,
        run_id=record.run_id or None,
        follow_up=record.follow_up,
        commit=record.commit,
        checks=record.checks,
        position=position,
        by=record.by,
    )
