"""The point of a session at which each task began: what was used in it before is others'."""

from pathlib import Path

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from swarm_tui.agent.conversation.session_log import Logged
from swarm_tui.agent.conversation.settings import Settings
from swarm_tui.agent.handlers.base import ResumePoint
from swarm_tui.config.files import write_private
from swarm_tui.domain.usage import Usage

#: Tasks that are remembered.
_MOST = 50
_FILE = "begun.json"


class Begun(Struct, frozen=True, kw_only=True):
    """The session's log when a task began in it: what was used, in how many calls of the model."""

    session: str
    used: Usage
    calls: int

    def shifted(self, point: ResumePoint) -> ResumePoint:
        """Return where an attempt was cut off, as if all that was used in the session were the task's and told."""
        used, cost = self.used, self.used.cost
        return replace(
            point,
            tokens_in=point.tokens_in + used.tokens_in,
            tokens_out=point.tokens_out + used.tokens_out,
            tokens_cached=point.tokens_cached + used.tokens_cached,
            cost=cost if point.cost is None else point.cost + (cost or 0.0),
            calls=point.calls + self.calls,
        )


class BegunTurns:
    """Keeps these points in the folder of an agent's screen."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE

    def read(self, task_id: str, session: str) -> Begun | None:
        """Return where the task began in that session; None where nobody knows."""
        found = self._all().get(task_id)
        return found if found is not None and found.session == session else None

    def keep(self, task_id: str, session: str, log: Logged | None, settings: Settings) -> None:
        """Keep where the task begins, unless it goes on there. A disk that is full costs that alone."""
        if self.read(task_id, session) is not None:
            return
        now = log or Logged(())
        known = self._all()
        known.pop(task_id, None)
        used = now.usage(settings.prices, settings.model)
        known[task_id] = Begun(session=session, used=used, calls=len(now.calls))
        try:
            write_private(self._path, msgspec.json.encode(dict(list(known.items())[-_MOST:])))
        except OSError:
            return

    def _all(self) -> dict[str, Begun]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Begun])
        except (OSError, msgspec.DecodeError):
            return {}
