"""Where agent CLIs are: on the PATH, or in the cache folder that `make clis` fills; and what they are given."""

import os
import shutil
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from swarm_tui.agent.handlers.base import Context, MissingToolError
from swarm_tui.agent.handlers.process import allowed_environment
from swarm_tui.config.own_process import own_argv


def cache_folder() -> Path:
    """Return the folder into which `make clis` installs; `SWARM_CLIS` names another."""
    named = os.environ.get("SWARM_CLIS")
    if named:
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "swarm-tui" / "clis"


def find(name: str) -> str | None:
    """Return the program's path; None when it is not here."""
    if "/" in name:
        return name if os.access(name, os.X_OK) else None
    return shutil.which(name, path=os.pathsep.join(_places()))


def _places() -> list[str]:
    # What people installed themselves comes first; ours is there for those who have nothing.
    return [os.environ.get("PATH", os.defpath), str(cache_folder() / "node_modules" / ".bin")]


def program(argv: Sequence[str], install: str) -> list[str]:
    """Return `argv` with the program's path. Raises MissingToolError."""
    found = find(argv[0])
    if found is None:
        raise MissingToolError(argv[0], install or f"command -v {argv[0]}")
    return [found, *argv[1:]]


def swarm_server(context: Context) -> list[dict[str, Any]]:
    """Return the swarm's own tools as an MCP server, as ACP names one; none where the MCP SDK is not installed.

    It speaks as the agent of this task, by the variables that a task's program gets; in a sandbox it would see no key.
    """
    if context.sandbox is not None:
        context.log("it gets no tools of the swarm in the sandbox, which hides the agent's key from it")
        return []
    if find_spec("mcp") is None:
        context.log("it gets no tools of the swarm: `pip install 'swarm-tui[mcp]'` brings what they need")
        return []
    command, *args = own_argv("swarm_tui", "mcp")
    given = {**allowed_environment(), **context.environment}
    env = [{"name": name, "value": value} for name, value in given.items()]
    return [{"name": "swarm", "command": command, "args": args, "env": env}]


def environment(context: Context, passed: Sequence[str], fixed: Mapping[str, str], path: str) -> dict[str, str]:
    """Return the variables that a CLI gets: the allowed ones, those of its entry's `env`, and its own.

    `path` is the program's.
    """
    return with_node({**fixed, **allowed_environment([*passed, *context.own_names]), **context.environment}, path)


def with_node(given: dict[str, str], path: str) -> dict[str, str]:
    """Return the variables for the program at `path`: one in our cache folder gets the node installed beside it."""
    ours = str(cache_folder() / "node_modules" / ".bin")
    if os.path.dirname(path) == ours:
        given["PATH"] = os.pathsep.join(filter(None, [ours, given.get("PATH", os.defpath)]))
    return given
