"""A swarm that moved to another broker leaves nothing retained at the one it had."""

import threading
from collections.abc import Callable
from functools import partial

from swarm_tui.bus.port import BusError
from swarm_tui.bus.session import clear_retained
from swarm_tui.protocol.topics import Kind, everything, topic
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.services import Services
from swarm_tui.supervisor.state_file import Former

LOOK_AGAIN = 0.2
VISIT = 10.0


class RetainedCleanup:
    """Clears the former broker once the processes that spoke there have ended; `done` is called on the loop then."""

    def __init__(self, services: Services, plan: Plan, former: Former, *, done: Callable[[], None]) -> None:
        self._services, self._former, self._done = services, former, done
        own = [topic(plan.swarm, Kind.STATUS, name) for name in services.units]
        own.append(topic(plan.swarm, Kind.HOST_STATUS, plan.host))
        self._patterns = [everything(plan.swarm)] if former.alone else own
        self._left = [(unit.saved.pid, unit.saved.start_time) for unit in services.units.values() if unit.has_process]

    def look(self) -> None:
        """Wait for the last of them."""
        if any(processes.is_alive(pid, began) for pid, began in self._left):
            self._services.loop.after(LOOK_AGAIN, self.look)
        else:
            threading.Thread(target=self._clear, name="removal", daemon=True).start()

    def _clear(self) -> None:
        try:
            number = len(clear_retained(self._former.broker, self._patterns, timeout=VISIT))
            said = f"{number} retained messages of the swarm are cleared at {self._former.broker.url}"
        except BusError as error:
            said = f"what the swarm retained at {self._former.broker.url} stays there: {error}"
        self._services.loop.post(partial(self._services.say, "change", "", said))
        self._services.loop.post(self._done)
