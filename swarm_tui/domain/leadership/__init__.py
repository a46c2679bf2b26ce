"""The lead of a swarm's tasks: claim, epoch, doubt, stand-down and farewell; events in, actions out."""

from swarm_tui.domain.leadership.actions import (
    Action,
    Complain,
    Lead,
    LeaveSession,
    LookAgain,
    Note,
    OpenSession,
    Pass,
    RepeatHalt,
    Say,
    StandDown,
    TakeBack,
    WriteEpoch,
)
from swarm_tui.domain.leadership.leadership import Echoes, Leadership, Phase

__all__ = [
    "Action",
    "Complain",
    "Echoes",
    "Lead",
    "Leadership",
    "LeaveSession",
    "LookAgain",
    "Note",
    "OpenSession",
    "Pass",
    "Phase",
    "RepeatHalt",
    "Say",
    "StandDown",
    "TakeBack",
    "WriteEpoch",
]
