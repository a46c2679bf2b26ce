"""`swarm-tui run`: run a workflow, and follow it to its end if asked."""

import re
import sys
import time
from pathlib import Path
from typing import Any

import click
import msgspec

from swarm_tui.cli import formatting
from swarm_tui.cli.common import (
    FAILED,
    USAGE,
    Failure,
    broker_option,
    json_option,
    note,
    print_json,
    swarm_option,
    target,
)
from swarm_tui.cli.completers import workflows
from swarm_tui.cli.existence import check_swarm_exists, tell_who_is_missing
from swarm_tui.cli.follow import follow
from swarm_tui.cli.number_types import SPAN
from swarm_tui.cli.payload import build_payload, check_fits
from swarm_tui.cli.run_acts import submit, wait_for_end
from swarm_tui.cli.shards import for_run
from swarm_tui.client.ids import new_id
from swarm_tui.config.errors import ConfigError, Problem
from swarm_tui.config.workflows import LoadedWorkflow, find_workflow, known_workflows, listed, load_workflow
from swarm_tui.domain.fleet.runs import REJECTED, RunView
from swarm_tui.domain.workflows.check import inputs_of
from swarm_tui.protocol.names import InvalidNameError, check_run_id
from swarm_tui.protocol.run_bodies import RunNew, new_run
from swarm_tui.protocol.topics import Kind


@click.command(epilog="Example: swarm-tui run ship -p version=1.2.0 --wait")
@click.argument("workflow", required=False, metavar="FILE|NAME", shell_complete=workflows)
@click.option("-p", "pairs", multiple=True, metavar="KEY=VALUE", help="An input; a value is JSON unless it is text.")
@click.option("--inputs", "whole", metavar="JSON|@FILE|-", help="All inputs; -p values are put into them.")
@click.option("--run-id", metavar="ID", help="Its id (default: a new one); the same again is the same run.")
@click.option("--accept-timeout", type=SPAN, default=30.0, show_default=True)
@click.option("--wait", is_flag=True, help="Follow it to its end; exit 0 only when it is complete.")
@swarm_option
@broker_option
@json_option
def command(
    workflow: str | None,
    wait: bool,
    accept_timeout: float,
    swarm: str | None,
    broker: str | None,
    as_json: bool,
    **more: Any,
) -> int:
    """Run a workflow, and print the run's id once the swarm has accepted it.

    FILE is a path; a NAME is looked for in ./workflows, in your config folder, and among those shipped.
    """
    if workflow is None:
        raise Failure(f"which workflow? Found: {listed(known_workflows(Path.cwd()))}", USAGE)
    path = find_workflow(workflow, Path.cwd())
    loaded = load_workflow(path, workflow if Path(workflow).is_file() else None)
    run = _run(loaded, more)
    found = for_run(target(swarm, broker), run.run_id, broker)
    check_fits(found.swarm, Kind.RUN_NEW, run, "run")
    with follow(found, patience=accept_timeout) as follower:
        check_swarm_exists(follower, found)
        tell_who_is_missing(follower, found, accept_timeout)
        began = time.monotonic()
        view = submit(follower, run, accept_timeout)
        if view is None:
            took = time.monotonic() - began
            raise Failure(
                f"no dispatcher took the run within {took:.0f} s; `swarm-tui status` shows whether one is there"
            )
        if view.state == REJECTED:
            raise _rejected(loaded, view)
        if not as_json:
            click.echo(run.run_id)
        if wait:
            view = wait_for_end(follower, run.run_id, (lambda line: None) if as_json else note)
            if view.state == "failed":
                follower.load_runs("run", {"run_id": run.run_id}, 2.0)
    if as_json:
        print_json({"run_id": run.run_id, "state": view.state, "reason": view.reason})
    if wait and view.state != "complete":
        for problem in _failed(loaded, view):
            note(str(problem))
        why = f": {view.reason}" if view.reason else ""
        raise Failure(f"{run.run_id} is {view.state}{why}; `swarm-tui runs {run.run_id}` shows each step", FAILED)
    return 0


def _run(loaded: LoadedWorkflow, given: dict[str, Any]) -> RunNew:
    workflow = loaded.workflow
    fields = {name: {"type": wanted.type} for name, wanted in workflow.inputs.items()}
    inputs = build_payload(given["whole"], given["pairs"], sys.stdin.buffer, fields)
    if wrong := inputs_of(workflow, inputs)[1]:
        raise Failure(f"{'; '.join(wrong)}: -p NAME=VALUE gives one", USAGE)
    stem = re.sub(r"[^A-Za-z0-9_-]", "-", workflow.workflow)[:40].strip("-") or "run"
    run_id = given["run_id"] or f"{stem}-{new_id()[:8]}"
    try:
        check_run_id(run_id)
    except InvalidNameError as error:
        raise Failure(str(error), USAGE) from None
    return new_run(run_id, msgspec.to_builtins(workflow), inputs)


def _failed(loaded: LoadedWorkflow, view: RunView) -> list[Problem]:
    """Return why each failed step failed, with where it stands in the file."""
    return [
        loaded.problem(f"steps.{step.name}: `{step.name}` failed: {step.reason}")
        for step in view.steps.values()
        if step.state == "failed" and step.reason
    ]


def _rejected(loaded: LoadedWorkflow, view: RunView) -> Exception:
    """Return what the dispatcher has against the run: a mistake of the file's, at its place, or a sentence."""
    problem = loaded.problem(view.reason)
    if problem.line:
        return ConfigError([problem])
    return Failure(f"{view.run_id} was {formatting.state(REJECTED)}: {view.reason}", FAILED)
