"""The form for a run: a workflow, and its inputs as fields; sent, it makes way for the run's page."""

import os
import re
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.client.ids import new_id
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.workflows import find_workflow, known_workflows, load_workflow
from swarm_tui.domain.workflows.check import inputs_of
from swarm_tui.domain.workflows.model import Workflow
from swarm_tui.protocol.raw import MAX_BYTES
from swarm_tui.protocol.run_bodies import RunNew, new_run
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.desk.desk import Desk
from swarm_tui.ui.model.draft import payload_of
from swarm_tui.ui.model.saved_state import ScreenState
from swarm_tui.ui.model.source import TaskType
from swarm_tui.ui.screens.form import FormScreen

#: Bytes that inputs may have: a message holds them beside the workflow.
MAX_INPUTS = MAX_BYTES // 2


class Found(Struct, frozen=True, kw_only=True):
    """A workflow that was looked for: itself, or what is wrong with its file."""

    workflow: Workflow | None = None
    wrong: str = ""


def _here() -> Path:
    """Return the folder we stand in, which may be gone by now: then there is no file in it."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return Path("/proc/self/cwd")


def look_for(name_or_path: str) -> Found:
    """Return the workflow of that name, or in that file."""
    try:
        return Found(workflow=load_workflow(find_workflow(name_or_path, _here())).workflow)
    except ConfigError as error:
        return Found(wrong=str(error).split("\n", 1)[0])


def as_type(name: str, found: Found) -> TaskType:
    """Return a workflow as the form knows types: its inputs are the fields."""
    if found.workflow is None:
        return TaskType(name=name, summary=f"✗ {found.wrong}")
    inputs = found.workflow.inputs
    fields = {
        each: {"type": wanted.type, "default": wanted.default, "description": wanted.description}
        for each, wanted in inputs.items()
    }
    needed = [each for each, wanted in inputs.items() if wanted.default is None]
    schema = {"type": "object", "properties": fields, "required": needed}
    return TaskType(
        name=name, summary=found.workflow.description or f"{len(found.workflow.steps)} steps", schema=schema
    )


class RunFormScreen(FormScreen):
    """A workflow by its name or its file, and what it is given. Checked as one types, as a task is."""

    NEW, LABEL, CHOSEN = "NEW RUN", "workflow", "^U clears it, and lists all workflows"
    HOW = ()
    CSS = FormScreen.CSS.replace("FormScreen", "RunFormScreen")

    def __init__(self, desk: Desk) -> None:
        self._found = {name: look_for(name) for name in known_workflows(_here())}
        types = {name: as_type(name, found) for name, found in self._found.items()}
        super().__init__(desk, types=types, state=ScreenState(), doubts=lambda model, draft: {})

    @property
    def known(self) -> TaskType | None:
        name = self.draft.type
        if name not in self._found and ("/" in name or name.endswith((".yml", ".yaml"))) and os.path.isfile(name):
            self._found[name] = look_for(name)
            self.types[name] = as_type(name, self._found[name])
        return self.types.get(name)

    def mistakes(self) -> dict[str, str]:
        return self._run()[1]

    def _run(self) -> tuple[RunNew | None, dict[str, str]]:
        """The run, or the mistakes."""
        inputs, mistakes = payload_of(self.draft, self.known)
        found = self._found.get(self.draft.type)
        if found is None:
            return None, {"type": "no workflow of that name" if self.draft.type else "is needed: a name, or a file"}
        if found.workflow is None:
            # The whole path of a file below the folder we stand in would leave no room for what is wrong.
            return None, {"type": found.wrong.removeprefix(f"{_here()}/")}
        wrong = {name if self.draft.raw is not None else f"payload.{name}": why for name, why in mistakes.items()}
        if not wrong and (whys := inputs_of(found.workflow, inputs)[1]):
            wrong["payload"] = "; ".join(whys)
        if not wrong and len(msgspec.json.encode(inputs)) > MAX_INPUTS:
            wrong["payload"] = f"is too large: at most {MAX_INPUTS // 1024} KiB; put it in a file and name that"
        if wrong:
            return None, wrong
        stem = re.sub(r"[^A-Za-z0-9_-]", "-", found.workflow.workflow)[:40].strip("-") or "run"
        return new_run(f"{stem}-{new_id()[:8]}", msgspec.to_builtins(found.workflow), inputs), {}

    def submit(self) -> None:
        run, _ = self._run()
        if run is None:
            return
        desk = self.desk
        desk.source.act(Kind.RUN_NEW, run)
        self.back()
        desk.pages.open_run(run.run_id)
        desk.say(f"asked to run {self.draft.type} as {run.run_id}")

    def why_not_open(self) -> str | None:
        return "the run's page opens once it is sent"
