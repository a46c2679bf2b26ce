"""A worker's decisions: the offers it takes, its answers, and the tasks it claims where nobody leads."""

from swarm_tui.domain.worker.leader import TELL_AFTER, Leader
from swarm_tui.domain.worker.worker import Worker
from swarm_tui.domain.worker.worker_state import WorkerIdentity

__all__ = ["TELL_AFTER", "Leader", "Worker", "WorkerIdentity"]
