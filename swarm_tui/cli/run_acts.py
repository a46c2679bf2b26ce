"""Runs, as commands ask for them, follow them to their end, and cancel or retry them."""

from collections.abc import Callable

from swarm_tui.cli import formatting
from swarm_tui.cli.common import FAILED, NO_SUCH
from swarm_tui.cli.follow import Follower
from swarm_tui.cli.task_follower import NEEDS_PERSON
from swarm_tui.config.document import near
from swarm_tui.domain.fleet.runs import ASKED, RunView
from swarm_tui.domain.states import CANCEL_WITHIN
from swarm_tui.domain.workflows.model import RUNNING
from swarm_tui.protocol.run_bodies import RunAct, RunNew
from swarm_tui.protocol.topics import Kind

#: Seconds between two times that a run is asked for, and after which the dispatcher is asked how one is.
_AGAIN, _ASK_AFTER = 1.0, 5.0
_PATIENCE = 5.0


def submit(follower: Follower, run: RunNew, timeout: float) -> RunView | None:
    """Ask for the run until the dispatcher answers, for at most `timeout` seconds; None when it does not."""
    again = follower.operator.run(run)

    def answered() -> bool:
        view = follower.fleet.runs.get(run.run_id)
        return view is not None and view.state != ASKED

    for _ in range(max(1, int(timeout / _AGAIN))):
        if follower.wait_for(answered, _AGAIN):
            with follower.lock:
                return follower.fleet.runs[run.run_id]
        again()
    return None


def wait_for_end(follower: Follower, run_id: str, say: Callable[[str], None]) -> RunView:
    """Wait for the run's end, however long it takes; `say` gets a line for each step that goes on."""
    said: dict[str, str] = {}

    def look() -> bool:
        view = follower.fleet.runs.get(run_id)
        if view is None:
            return False
        for name, step in view.steps.items():
            waits = step.state == RUNNING and step.tasks and all(state in NEEDS_PERSON for state in step.tasks.values())
            if not waits and said.get(name, "blocked") != step.state:
                say(f"  {name} {formatting.state(step.state)}{f': {step.reason}' if step.reason else ''}")
            if not waits:
                said[name] = step.state
            for task_id, state in step.tasks.items():
                if state in NEEDS_PERSON and said.get(task_id) != state:
                    say(f"  {task_id} {NEEDS_PERSON[state].format(id=task_id)}")
                said[task_id] = state
        return view.is_over

    while not follower.wait_for(look, _ASK_AFTER):
        # What was said while we were away is not said again.
        follower.load_runs("run", {"run_id": run_id}, 2.0)
    with follower.lock:
        return follower.fleet.runs[run_id]


def act_on_run(
    follower: Follower, verb: str, run_id: str, reason: str, start: str | None = None
) -> tuple[int, str, str]:
    """Cancel or retry a run, from the step `start` on if it is given: exit code, state and a sentence."""
    rows = follower.load_runs("run", {"run_id": run_id})
    if rows is None:
        return FAILED, "", "the dispatcher does not answer; `swarm-tui status` shows it"
    if not rows:
        return NO_SUCH, "", "no such task or run; `swarm-tui tasks` and `swarm-tui runs` list those known"
    before = rows[0].state
    if verb == "cancel" and before != RUNNING:
        return FAILED, before, f"is {before}: `cancel` is for runs that run"
    names = [step.step for step in rows[0].steps]
    if start is not None and start not in names:
        return FAILED, before, f"has no step `{start}`{near(start, names)}"
    if verb == "retry" and (before == RUNNING or (before == "complete" and start is None)):
        return FAILED, before, f"is {before}: `retry` is for runs that failed or were cancelled"
    follower.operator.act(
        Kind.RUN_CANCEL if verb == "cancel" else Kind.RUN_RETRY, RunAct(run_id=run_id, reason=reason, step=start)
    )
    patience = CANCEL_WITHIN + _PATIENCE if verb == "cancel" else _PATIENCE

    def done() -> bool:
        view = follower.fleet.runs[run_id]
        return view.is_over if verb == "cancel" else view.state == RUNNING or view.starts > 0

    if not follower.wait_for(done, patience):
        rows = follower.load_runs("run", {"run_id": run_id}) or rows
    with follower.lock:
        view = follower.fleet.runs[run_id]
        if done():
            return 0, view.state, ""
    return FAILED, view.state, f"is still {view.state} after {patience:g} s; `swarm-tui runs {run_id}` shows why"
