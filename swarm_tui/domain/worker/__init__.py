"""What one worker decides: which offers it takes, whom it answers, and which task it claims where nobody leads."""

from swarm_tui.domain.worker.core import Worker
from swarm_tui.domain.worker.hand import Me
from swarm_tui.domain.worker.leader import TELL_AFTER, Leader

__all__ = ["TELL_AFTER", "Leader", "Me", "Worker"]
