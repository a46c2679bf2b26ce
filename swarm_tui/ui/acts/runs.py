"""Acts on runs of workflows."""

from swarm_tui.domain.fleet.runs import REJECTED, RunView
from swarm_tui.protocol.run_bodies import RunAct
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.capabilities import HasRuns
from swarm_tui.ui.desk.context import Context


def _run_id(context: Context) -> str | None:
    return context.screen.run_id() if isinstance(context.screen, HasRuns) else None


def _run(context: Context) -> RunView | None:
    return context.model.fleet.runs.get(_run_id(context) or "")


def _can_cancel(context: Context) -> str | None:
    run = _run(context)
    if run is None:
        return "there is no run here"
    return f"{run.run_id} is {run.state} already" if run.is_over else None


def _can_retry(context: Context) -> str | None:
    run = _run(context)
    if run is None:
        return "there is no run here"
    if run.state in ("failed", "cancelled"):
        return None
    return f"{run.run_id} is {run.state}: only a run that failed or was cancelled is done again"


def _tell(context: Context, kind: Kind, said: str) -> None:
    run = _run(context)
    if run is not None:
        context.desk.source.act(kind, RunAct(run_id=run.run_id))
        context.say(f"asked to {said} {run.run_id}")


def _step(context: Context) -> str | None:
    return context.screen.step() if isinstance(context.screen, HasRuns) else None


def _can_retry_from(context: Context) -> str | None:
    run, step = _run(context), _step(context)
    if run is None or step is None:
        return "there is no step here: a run's page has them"
    return None if run.is_over and run.state != REJECTED else f"{run.run_id} is {run.state}: it must have ended"


def _retry_from(context: Context) -> None:
    run, step = _run(context), _step(context)
    if run is not None and step is not None:
        context.desk.source.act(Kind.RUN_RETRY, RunAct(run_id=run.run_id, step=step))
        context.say(f"asked to do {run.run_id} again from {step} on")


def _from_question(context: Context) -> str | None:
    step = _step(context)
    return f"Do all again from {step} on, what follows from it and what did not succeed? Also what succeeded."


def _question(context: Context) -> str | None:
    run = _run(context)
    return None if run is None else f"Cancel the run {run.run_id}? What runs of it is ended, and nothing more begins."


RUN_ACTS = (
    Action(
        name="runs",
        keys=("W",),
        label="runs",
        group="pages",
        run=lambda c: c.desk.pages.open_runs(),
        help="The runs of workflows, a glyph for each step; open one to see its graph. Once more comes back.",
    ),
    Action(
        name="begin_run",
        keys=("B",),
        label="run a workflow",
        group="tasks",
        scopes=("run",),
        rank=3,
        writes=True,
        order=False,
        needs=HasRuns,
        run=lambda c: c.desk.pages.open_run_form(),
        help="Choose a workflow, or name its file, and fill in its inputs: they are checked as you type.",
    ),
    Action(
        name="retry_run",
        keys=("R",),
        label="retry run",
        group="tasks",
        scopes=("run",),
        rank=1,
        writes=True,
        needs=HasRuns,
        can=_can_retry,
        run=lambda c: _tell(c, Kind.RUN_RETRY, "do again what failed of"),
        help="Do again what did not succeed of the run; what succeeded stays as it is.",
    ),
    Action(
        name="retry_from",
        keys=("F",),
        label="again from here",
        group="tasks",
        scopes=("run",),
        rank=4,
        writes=True,
        needs=HasRuns,
        can=_can_retry_from,
        confirm=_from_question,
        about=lambda c: (_run_id(c), _step(c)),
        run=_retry_from,
        help="Do the step under the cursor again and all that follows from it, also what succeeded.",
    ),
    Action(
        name="cancel_run",
        keys=("X",),
        label="cancel run",
        group="tasks",
        scopes=("run",),
        rank=2,
        writes=True,
        needs=HasRuns,
        can=_can_cancel,
        confirm=_question,
        about=_run_id,
        run=lambda c: _tell(c, Kind.RUN_CANCEL, "cancel"),
        help="Cancel the run: what runs of it is ended, and nothing more of it begins.",
    ),
)
