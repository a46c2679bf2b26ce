"""Remembers on this machine what was made live at targets that cannot be asked."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from swarm_tui.agent.handlers.base import HandlerError


class ReleaseLog:
    """Versions made live at a target that cannot be asked: a JSON file, the newest last."""

    def __init__(self, state: Path, target: str, service: str, *, older: str = "") -> None:
        # `@` is in no service's name, so that no two targets share a file, and no name leads out of the folder.
        folder = state / "deployments"
        self._path = folder / f"{quote(target, safe=' ')}@{service}.json"
        # The file's name in releases until 0.1.
        self._older = folder / f"{quote(older or target, safe=' ')}-{service}.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Raises HandlerError (`busy`) while another deploy of the service runs here."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path.with_suffix(".lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HandlerError("another deploy of the service runs", code="busy", retryable=True) from error
            yield

    def rows(self) -> list[dict[str, Any]]:
        """Return each `version`, `id` and `at`; nothing when the file cannot be read."""
        try:
            path = self._path if self._path.exists() else self._older
            rows = json.loads(path.read_text())
            return [row for row in rows if isinstance(row, dict) and "version" in row]
        except (OSError, ValueError, TypeError):
            return []

    def add(self, version: str, known_as: str | None) -> None:
        rows = [*self.rows(), {"version": version, "id": known_as, "at": time.time()}][-100:]
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(rows))
        os.replace(draft, self._path)

    def live(self) -> str | None:
        rows = self.rows()
        return str(rows[-1]["version"]) if rows else None

    def before(self, version: str | None) -> str | None:
        """Return the version that was live before `version`."""
        return next((str(row["version"]) for row in reversed(self.rows()) if row["version"] != version), None)

    def known_as(self, version: str | None) -> str | None:
        """Return the target's own name for a version."""
        return next((row.get("id") for row in reversed(self.rows()) if row["version"] == version), None)
