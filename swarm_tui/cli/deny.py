"""`swarm-tui deny`: refuse tasks that wait for a person."""

from swarm_tui.cli.task_acts import DENY, act_command

command = act_command(
    DENY,
    "Refuse tasks that wait for approval; they end cancelled.",
    "swarm-tui deny task_ab12 --reason 'not on a Friday'",
)
