"""Workflow files: where they are found, and how one becomes a workflow, with every mistake at its place."""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from swarm_tui.config.document import Document, Where, near, parse_document
from swarm_tui.config.errors import ConfigError, Problem, whole_file
from swarm_tui.config.home import at_home
from swarm_tui.config.paths import SHIPPED, config_home, shipped_layouts
from swarm_tui.config.shape import fit
from swarm_tui.domain.workflows.check import mistakes
from swarm_tui.domain.workflows.model import Workflow

MAX_BYTES = 1 << 20


class LoadedWorkflow(msgspec.Struct, frozen=True):
    """A workflow with its file, by which a mistake that is found later gets its place."""

    workflow: Workflow
    document: Document

    def problem(self, reason: str) -> Problem:
        """Return a mistake of which the reason begins with its place: `steps.a.type: …`."""
        dotted, _, rest = reason.partition(": ")
        where: Where = tuple(dotted.split("."))
        if where not in self.document.places:
            return Problem(self.document.file, 0, 0, reason)
        line, column = self.document.places[where]
        return Problem(self.document.file, line, column, rest)


def workflow_folders(cwd: Path) -> list[tuple[str, Path]]:
    """Where a workflow is looked for by name, first wins: a word for people, and the folder."""
    return [
        ("./workflows", cwd / "workflows"),
        ("your config folder", config_home() / "workflows"),
        (SHIPPED, shipped_layouts().parent / "workflows"),
    ]


def known_workflows(cwd: Path) -> dict[str, tuple[str, Path]]:
    """Every workflow that a name finds: name to (where, path)."""
    found: dict[str, tuple[str, Path]] = {}
    for where, folder in workflow_folders(cwd):
        for path in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
            found.setdefault(path.stem, (where, path))
    return found


def listed(known: dict[str, tuple[str, Path]]) -> str:
    """Return the workflows' names, each with where it was found, as a person reads them."""
    return ", ".join(f"{name} ({where})" for name, (where, _) in sorted(known.items())) or "none"


def find_workflow(name_or_path: str, cwd: Path) -> Path:
    """The workflow's file. What holds a `/` or ends in .yml or .yaml is a path, all else a name. Raises ConfigError."""
    if "/" in name_or_path or name_or_path.endswith((".yml", ".yaml")):
        path = cwd / at_home(name_or_path)
        if not os.path.isfile(path):
            raise whole_file(name_or_path, "no such file")
        return path
    known = known_workflows(cwd)
    if name_or_path in known:
        return known[name_or_path][1]
    hint = near(name_or_path, sorted(known)) if known else ""
    meant = hint if "did you mean" in hint else ""
    raise whole_file(name_or_path, f"no workflow of that name{meant}; found: {listed(known)}")


def workflow_file(name_or_path: str) -> Path | None:
    """Return the file of a workflow; None for what is no workflow's name, or a file that does not look like one."""
    cwd = Path.cwd()
    if "/" not in name_or_path and not name_or_path.endswith((".yml", ".yaml")):
        known = known_workflows(cwd)
        return known[name_or_path][1] if name_or_path in known else None
    path = cwd / at_home(name_or_path)
    try:
        if not path.is_file():
            return None
        with open(path, "rb") as file:
            return path if re.search(rb"^workflow\s*:", file.read(MAX_BYTES), re.MULTILINE) else None
    except OSError:
        return None


def load_workflow(path: Path, show: str | None = None) -> LoadedWorkflow:
    """Read and check a workflow. Raises ConfigError with every mistake found."""
    name = show or str(path)
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise whole_file(name, f"cannot be read: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise whole_file(name, f"more than {MAX_BYTES:,} bytes; a workflow has no more")
    # `${VAR}` stays as it is: what a run does follows from its file and its inputs, wherever it is started.
    document = parse_document(raw, name, None)
    for where in _unquoted(document.value, ()):
        document.problem(where, 'a reference without quotes is YAML\'s own { }: write "{…}"')
    if document.problems:
        raise ConfigError(document.problems)
    workflow = fit(document, Workflow)
    if not document.problems:
        for mistake in mistakes(workflow):
            document.problem(mistake.where, mistake.reason)
    if document.problems:
        raise ConfigError(document.problems)
    return LoadedWorkflow(workflow, document)


def _unquoted(value: Any, where: Where) -> Iterator[Where]:
    """The places of `{step.result}` that YAML read as a mapping of a key without a value."""
    if isinstance(value, dict):
        if len(value) == 1 and "." in next(iter(value)) and next(iter(value.values())) is None:
            yield where
        for key, inner in value.items():
            yield from _unquoted(inner, (*where, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _unquoted(inner, (*where, index))


def workflow_schema() -> dict[str, object]:
    """The JSON Schema of a workflow, for editors."""
    schema = msgspec.json.schema(Workflow)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "swarm-tui workflow", **schema}
