"""The one reducer of a swarm, which screen, `status`, web page and replay all read."""

from swarm_tui.domain.fleet.reducer import Fleet
from swarm_tui.domain.views import Changes

__all__ = ["Changes", "Fleet"]
