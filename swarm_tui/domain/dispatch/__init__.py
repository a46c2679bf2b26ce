"""The task engine's decisions: `step(state, event, moment)` changes the state and returns what must be done for it."""

from swarm_tui.domain.dispatch.core import lead, restore, step
from swarm_tui.domain.dispatch.model import (
    Action,
    DispatchSettings,
    Job,
    LinkDown,
    LinkUp,
    Moment,
    Note,
    Save,
    SaveMail,
    SaveRun,
    SaveSchedule,
    Say,
    State,
    Tick,
    TypePolicy,
)

__all__ = [
    "Action",
    "DispatchSettings",
    "Job",
    "LinkDown",
    "LinkUp",
    "Moment",
    "Note",
    "Save",
    "SaveMail",
    "SaveRun",
    "SaveSchedule",
    "Say",
    "State",
    "Tick",
    "TypePolicy",
    "lead",
    "restore",
    "step",
]
