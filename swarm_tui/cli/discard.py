"""`swarm-tui discard`: throw away what a task wrote; its last commit can be had back."""

import sys

import click

from swarm_tui.cli.common import Failure, broker_option, json_option, swarm_option, target
from swarm_tui.cli.completers import task_ids
from swarm_tui.cli.follow import follow
from swarm_tui.cli.journal_reader import journal_is_current, whole_id
from swarm_tui.cli.merge import act, tell_end, to_the_end
from swarm_tui.cli.name_checks import check_tasks
from swarm_tui.protocol.merge_bodies import MergeAct

#: Seconds within which it is done, where its agent is there.
_PATIENCE = 60.0


@click.command(epilog="Example: swarm-tui discard task_1f2e")
@click.argument("task_id", metavar="TASK", shell_complete=task_ids)
@click.option("-y", "--yes", is_flag=True, help="Without asking.")
@swarm_option
@broker_option
@json_option
def command(task_id: str, yes: bool, swarm: str | None, broker: str | None, as_json: bool) -> int:
    """Take TASK's worktree and branch away, on the host that has them. It says how to have its last commit back."""
    check_tasks((task_id,))
    found = target(swarm, broker)
    if journal_is_current(found.state) and not broker:
        task_id = whole_id(found.state, task_id)
    if not yes and sys.stdin.isatty() and not click.confirm(f"throw away what {task_id} wrote?", err=True):
        raise Failure("nothing was thrown away")
    with follow(found) as follower:
        state = act(follower, found, MergeAct(task_id=task_id, act="discard"))
        state = to_the_end(follower, state, tell=False, limit=_PATIENCE)
    return tell_end(state, as_json, wanted="discarded", waited=False)
