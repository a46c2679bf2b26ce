"""`~/.config/swarm-tui/filters.json`: the filters of the screen that a person keeps by name, for all swarms."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import Struct

from swarm_tui.config.errors import ConfigError, Problem, whole_file
from swarm_tui.config.paths import config_home, why_not

#: Panels that can be filtered.
PANELS = ("agents", "tasks", "stream")
LONGEST_NAME, LONGEST_TEXT, MAX_FILTERS, MAX_BYTES = 60, 500, 500, 1 << 20


class SavedFilter(Struct, frozen=True):
    """A filter, and the panel that it narrows."""

    panel: str
    text: str


def filters_path() -> Path:
    """`$XDG_CONFIG_HOME/swarm-tui/filters.json`, by default under `~/.config`."""
    return config_home() / "filters.json"


class SavedFilters:
    """The file, read anew for each look: other screens write it too. Without a `path` they are kept in memory."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._memory: dict[str, SavedFilter] = {}

    def read(self) -> tuple[dict[str, SavedFilter], list[str]]:
        """Return those that can be used, by name, and a sentence for each mistake in the file."""
        if self._path is None:
            return dict(self._memory), []
        try:
            return _read(self._path)
        except ConfigError as error:
            return {}, str(error).splitlines()

    def keep(self, name: str, panel: str, text: str) -> str | None:
        """Keep a filter under a name, in the place of one that has it; why it could not, as a sentence."""
        if reason := _wrong(name, panel, text):
            return reason
        return self._change(lambda found: found.__setitem__(name, SavedFilter(panel, text)))

    def remove(self, name: str) -> str | None:
        """Forget a filter; why it could not, as a sentence."""
        return self._change(lambda found: found.pop(name, None))

    def _change(self, change: Any) -> str | None:
        if self._path is None:
            change(self._memory)
            return None
        try:
            with _alone(self._path):
                found, mistakes = _read(self._path)
                if mistakes:  # Written anew, what is wrong in it would be lost.
                    return f"nothing was written: mend {mistakes[0]}"
                change(found)
                if len(found) > MAX_FILTERS:
                    return f"nothing was written: {MAX_FILTERS} filters are kept already"
                _write(self._path, found)
        except ConfigError as error:
            return f"nothing was written: mend {str(error).splitlines()[0]}"
        except OSError as error:
            return f"nothing was written: {why_not(error)}"
        return None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the folder, so that of two screens that save at once neither loses what the other saved."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _read(path: Path) -> tuple[dict[str, SavedFilter], list[str]]:
    """Return what can be used, and the mistakes. Raises ConfigError where nothing can."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return {}, []
    except OSError as error:
        raise whole_file(str(path), why_not(error)) from None
    if len(raw) > MAX_BYTES:
        raise whole_file(str(path), f"it has more than {MAX_BYTES:,} bytes")
    try:
        text = raw.decode()
        value = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as error:
        raise ConfigError([Problem(str(path), error.lineno, error.colno, error.msg.lower())]) from None
    except UnicodeDecodeError:
        raise whole_file(str(path), "it is no text in UTF-8") from None
    except (RecursionError, ValueError) as error:
        raise whole_file(str(path), str(error)) from None
    if not isinstance(value, dict):
        raise ConfigError([Problem(str(path), 1, 1, 'it must be an object: {"NAME": {"panel": …, "filter": …}}')])
    found: dict[str, SavedFilter] = {}
    problems = []
    for name, entry in value.items():
        panel, said = (entry.get(key) for key in ("panel", "filter")) if isinstance(entry, dict) else (None, None)
        if reason := _wrong(name, panel, said):
            problems.append(str(Problem(str(path), *_place(text, name), reason)))
        else:
            found[name] = SavedFilter(str(panel), str(said))
    return found, problems


def _wrong(name: str, panel: object, text: object) -> str | None:
    if not name.strip() or name != name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
        return f"a filter's name is 1 to {LONGEST_NAME} characters, none at its ends a space"
    if panel not in PANELS:
        return f"{name}: `panel` is one of {', '.join(PANELS)}"
    if not isinstance(text, str) or not text.strip() or not text.isprintable() or len(text) > LONGEST_TEXT:
        return f"{name}: `filter` is 1 to {LONGEST_TEXT} characters of one line"
    return None


def _place(text: str, name: str) -> tuple[int, int]:
    """Return line and column of a name in the file."""
    for written in (json.dumps(name, ensure_ascii=False), json.dumps(name)):
        if (at := text.find(written)) >= 0:
            return text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
    return 1, 1


def _write(path: Path, found: dict[str, SavedFilter]) -> None:
    rows = {name: {"panel": each.panel, "filter": each.text} for name, each in sorted(found.items())}
    beside = path.with_name(path.name + ".new")
    beside.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    beside.replace(path.resolve())
