"""Acts on runs of workflows."""

import re
import shlex
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.client.ids import new_id
from swarm_tui.domain.fleet.runs import RunView
from swarm_tui.domain.workflows.check import inputs_of
from swarm_tui.protocol.run_bodies import RunAct, RunNew, new_run
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.desk.actions import Action
from swarm_tui.ui.desk.capabilities import HasRuns
from swarm_tui.ui.desk.context import Context


def run_of(line: str) -> RunNew:
    """Return the run that a typed line means: `NAME key=value …`. Raises ValueError with a sentence."""
    # The first frame does not wait for YAML.
    from swarm_tui.config.errors import ConfigError
    from swarm_tui.config.workflows import find_workflow, load_workflow

    words = shlex.split(line)
    if not words:
        raise ValueError("which workflow? its name or file, then its inputs as key=value")
    try:
        workflow = load_workflow(find_workflow(words[0], Path.cwd())).workflow
    except ConfigError as error:
        raise ValueError(str(error).split("\n", 1)[0]) from None
    inputs = {}
    for word in words[1:]:
        name, equals, text = word.partition("=")
        if not equals:
            raise ValueError(f"{word}: write an input as key=value")
        wanted = workflow.inputs.get(name)
        inputs[name] = text if wanted is None or wanted.type == "string" else _value(text)
    if wrong := inputs_of(workflow, inputs)[1]:
        raise ValueError("; ".join(wrong))
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", workflow.workflow)[:40].strip("-") or "run"
    run_id = f"{stem}-{new_id()[:8]}"
    return new_run(run_id, msgspec.to_builtins(workflow), inputs)


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except msgspec.DecodeError:
        return text


def _begin(context: Context) -> None:
    def typed(line: str) -> None:
        try:
            run = run_of(line)
        except ValueError as error:
            context.say(str(error), bad=True)
            return
        context.desk.source.act(Kind.RUN_NEW, run)
        context.say(f"asked to run {run.workflow.get('workflow')} as {run.run_id}")

    if isinstance(context.screen, HasRuns):
        context.screen.ask_line("run a workflow (name key=value …):", typed)


def _run(context: Context) -> RunView | None:
    run_id = context.screen.run_id() if isinstance(context.screen, HasRuns) else None
    return context.model.fleet.runs.get(run_id or "")


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
        needs=HasRuns,
        run=_begin,
        help="Type a workflow's name or file, and its inputs as key=value: it is checked, and begun.",
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
        run=lambda c: _tell(c, Kind.RUN_CANCEL, "cancel"),
        help="Cancel the run: what runs of it is ended, and nothing more of it begins.",
    ),
)
