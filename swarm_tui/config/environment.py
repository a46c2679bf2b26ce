"""The caller's environment, handed to the panes through a 0600 file and never through tmux's arguments."""

import json  # Not msgspec: other programs are started through here, and it takes longer than all the rest.
import os
from collections.abc import Mapping
from pathlib import Path

from swarm_tui.config.files import write_private

#: What belongs to the terminal a process runs in, not to the person who started it.
_OF_THE_PANE = frozenset({"TMUX", "TMUX_PANE", "TERM", "TERM_PROGRAM", "TERM_PROGRAM_VERSION", "COLUMNS", "LINES"})


def save_environment(path: Path, environ: Mapping[str, str] | None = None) -> None:
    """Write the environment, 0600, as a JSON object. Raises OSError."""
    source = os.environ if environ is None else environ
    plain = {
        name: value for name, value in source.items() if name not in _OF_THE_PANE and _is_text(name) and _is_text(value)
    }
    write_private(path, json.dumps(plain, ensure_ascii=False).encode())


def load_environment(path: Path) -> dict[str, str]:
    """Return what `save_environment` wrote; empty when there is none, or it cannot be read."""
    try:
        saved = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    whole = isinstance(saved, dict) and all(isinstance(value, str) for value in saved.values())
    return saved if whole else {}


def apply_environment(path: Path) -> None:
    """Make the saved environment this process's own; what belongs to its terminal stays."""
    if saved := load_environment(path):
        kept = {name: os.environ[name] for name in _OF_THE_PANE if name in os.environ}
        os.environ.clear()
        os.environ.update(saved)
        os.environ.update(kept)


def _is_text(value: str) -> bool:
    """An argument that is no UTF-8 reads as lone surrogates, which JSON cannot hold."""
    return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
