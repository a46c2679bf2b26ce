"""The task engine's decisions: `step(state, event, moment)` changes the state and returns what must be done for it."""

from swarm_tui.domain.dispatch.core import lead, restore, step
from swarm_tui.domain.dispatch.model import (
    Action,
    Job,
    LinkDown,
    LinkUp,
    Moment,
    Note,
    Rule,
    Save,
    Say,
    Settings,
    State,
    Tick,
)

__all__ = [
    "Action",
    "Job",
    "LinkDown",
    "LinkUp",
    "Moment",
    "Note",
    "Rule",
    "Save",
    "Say",
    "Settings",
    "State",
    "Tick",
    "lead",
    "restore",
    "step",
]
