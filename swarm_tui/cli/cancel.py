"""`swarm-tui cancel`: end tasks that are queued or running."""

from swarm_tui.cli.task_acts import CANCEL, act_command

command = act_command(
    CANCEL,
    "Cancel tasks and runs: queued tasks at once, running ones are told to stop, then made to.",
    "swarm-tui cancel task_ab12",
)
