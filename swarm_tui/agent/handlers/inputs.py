"""Reads what a handler is given: a typed payload, typed options, and paths that stay inside the workdir."""

from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.config.home import at_home

S = TypeVar("S", bound=Struct)


def read_payload(context: Context, schema: type[S]) -> S:
    """The task's payload as `schema`. Raises HandlerError (`bad-payload`) that names the field."""
    try:
        return msgspec.convert(context.payload, schema, strict=False)
    except msgspec.ValidationError as error:
        raise HandlerError(f"the payload of {context.type} does not fit: {error}", code="bad-payload") from error


def read_options(context: Context, schema: type[S]) -> S:
    """The layout's options for this handler as `schema`. Raises HandlerError (`bad-options`)."""
    try:
        return msgspec.convert(context.spec.options, schema, strict=False)
    except msgspec.ValidationError as error:
        raise HandlerError(
            f"the layout's options for {context.type} do not fit: {error}", code="bad-options"
        ) from error


def inside(workdir: Path, path: str, *, what: str = "path", must_exist: bool = True) -> Path:
    """`path` under `workdir`, symlinks resolved. Raises HandlerError (`outside`, `not-found`)."""
    root = workdir.resolve()
    if "\0" in path:
        raise HandlerError(f"{what}: a path holds no NUL", code="bad-payload")
    try:
        full = (root / at_home(path)).resolve()
    except (OSError, RuntimeError) as error:
        raise HandlerError(f"{what}: {path} cannot be resolved: {error}", code="not-found") from error
    if not full.is_relative_to(root):
        raise HandlerError(f"{what}: {path} is outside of the workdir {root}", code="outside")
    if must_exist and not full.exists():
        raise HandlerError(f"{what}: {path} is not there (in {root})", code="not-found")
    return full
