"""The schedules of a layout: checked, and their workflows put in their place."""

import re
from pathlib import Path

from msgspec.structs import replace

from swarm_tui.config.document import Document, Where
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.model import Layout, ScheduleEntry
from swarm_tui.config.workflows import find_workflow, load_workflow
from swarm_tui.domain.workflows.check import inputs_of, mistakes
from swarm_tui.domain.workflows.model import Workflow
from swarm_tui.domain.workflows.schedule import problem
from swarm_tui.protocol.names import InvalidNameError, canonical_role, check_task_type

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")


def with_workflows(document: Document, layout: Layout, cwd: Path) -> Layout:
    """Return the layout with the workflows of its schedules; what is wrong is added to `document.problems`."""
    entries = [_resolved(document, index, entry, cwd) for index, entry in enumerate(layout.schedules)]
    names = [entry.name for entry in entries]
    for index, name in enumerate(names):
        if name in names[:index]:
            document.problem(("schedules", index, "name"), f"a second schedule `{name}`")
    if entries and not any(canonical_role(entry.role) == "task-manager" for entry in layout.agents):
        document.problem(("schedules",), "schedules are kept by a task-manager, and the layout has none")
    return replace(layout, schedules=entries)


def _resolved(document: Document, index: int, entry: ScheduleEntry, cwd: Path) -> ScheduleEntry:
    where: Where = ("schedules", index)
    if not _NAME.fullmatch(entry.name):
        document.problem((*where, "name"), f"`{entry.name[:60]}` is no schedule's name: use 1 to 40 of A-Z a-z 0-9 _ -")
    if why := problem(entry.cron, entry.timezone):
        document.problem((*where, "timezone" if "no timezone" in why else "cron"), why)
    if (entry.type is None) == (entry.workflow is None):
        document.problem(where, "a schedule has a `type` or a `workflow`")
        return entry
    if entry.type is not None:
        try:
            check_task_type(entry.type)
        except InvalidNameError as error:
            document.problem((*where, "type"), str(error))
        return entry
    workflow = _workflow(document, (*where, "workflow"), entry, cwd)
    if workflow is None:
        return entry
    for wrong in inputs_of(workflow, entry.payload)[1]:
        document.problem((*where, "payload"), wrong)
    return replace(entry, workflow=workflow)


def _workflow(document: Document, where: Where, entry: ScheduleEntry, cwd: Path) -> Workflow | None:
    if isinstance(entry.workflow, Workflow):
        for mistake in mistakes(entry.workflow):
            document.problem((*where, *mistake.where), mistake.reason)
        return entry.workflow
    try:
        return load_workflow(find_workflow(entry.workflow or "", cwd)).workflow
    except ConfigError as error:
        for found in error.problems:
            place = f"{found.file}:{found.line}:{found.column}: " if found.line else ""
            document.problem(where, f"{place}{found.reason}")
        return None
