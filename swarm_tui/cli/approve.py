"""`swarm-tui approve`: let tasks run that wait for a person."""

from swarm_tui.cli.task_acts import APPROVE, act_command

command = act_command(
    APPROVE,
    "Approve tasks that wait for it; it holds for the payload that is shown now.",
    "swarm-tui approve task_ab12 --reason 'seen on staging'",
)
