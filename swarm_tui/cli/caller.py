"""The caller of a command or a tool: a person, or the agent whose task's program this is."""

import os
import time
from collections.abc import Mapping

from msgspec import Struct

from swarm_tui.cli.common import FAILED, Failure, Target
from swarm_tui.client.ids import new_id
from swarm_tui.client.operator import Operator
from swarm_tui.identity.open import open_agent
from swarm_tui.identity.store import IdentityError
from swarm_tui.processes.workers import TASK, worker_of
from swarm_tui.protocol.codec import Writer
from swarm_tui.protocol.names import is_task_id


class Caller(Struct, frozen=True, kw_only=True):
    """The caller: the agent whose program it is, None for a person, and the attempt that it serves."""

    found: Target
    agent_id: str | None = None
    task_id: str | None = None
    attempt: int | None = None
    epoch: int | None = None

    def speak_as_agent(self, operator: Operator) -> None:
        """Let all that is said be the agent's own word, with its proof; nothing where a person is the caller.

        An agent's word is no order: its key proves none, so nothing that only a person may do counts. Raises Failure.
        """
        if self.agent_id is None:
            return
        try:
            keys = open_agent(str(self.found.state.root), self.agent_id)
        except IdentityError as error:
            raise Failure(str(error), FAILED) from None
        writer = Writer(operator.swarm, self.agent_id, "agent", new_id=new_id, clock=time.time, prove=keys.prove)
        operator.speak_by(writer)


def caller(found: Target, environ: Mapping[str, str] = os.environ) -> Caller:
    """Return who calls: by the marks of the processes around, and which attempt by the variables that it gets."""
    agent_id, task_id = worker_of(str(found.state.root.absolute())), environ.get(TASK, "")
    attempt, _, epoch = environ.get("SWARM_FENCE", "").partition(".")
    return Caller(
        found=found,
        agent_id=agent_id or None,
        task_id=task_id if agent_id and is_task_id(task_id) else None,
        attempt=int(attempt) if attempt.isdecimal() else None,
        epoch=int(epoch) if epoch.isdecimal() else None,
    )
