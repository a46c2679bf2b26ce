"""`swarm-tui retry`: run dead, failed or held tasks again."""

from swarm_tui.cli.task_acts import RETRY, act_command

command = act_command(
    RETRY,
    "Run tasks again that are dead, failed, cancelled, expired or held; of a run, what did not succeed.",
    "swarm-tui retry task_ab12",
)
