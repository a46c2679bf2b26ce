"""Move a swarm to another broker: nothing retained, and no broker of ours, is left at the one it had."""

import threading
from functools import partial

from swarm_tui.bus.port import BusError
from swarm_tui.bus.session import clear_retained
from swarm_tui.config.running import list_running
from swarm_tui.protocol.topics import Kind, everything, topic
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.broker_pane import BrokerPane
from swarm_tui.supervisor.host_reporter import HostReporter
from swarm_tui.supervisor.plan import Plan
from swarm_tui.supervisor.services import Services
from swarm_tui.supervisor.shutdown import sharing
from swarm_tui.supervisor.state_file import FormerBroker

#: Seconds between two looks at the processes that still speak at the former broker.
LOOK_AGAIN = 0.2
#: Seconds that clearing it may take.
VISIT = 10.0


class BrokerMove:
    """Notes the broker that a new plan leaves, for the successor who works by that plan and cleans up there."""

    def __init__(self, services: Services, reporter: HostReporter, plan: Plan) -> None:
        self._services, self._reporter, self._plan = services, reporter, plan
        self._left: list[tuple[int | None, float | None]] = []

    def leave(self, old: Plan, *, alone: bool) -> None:
        """Note the broker of `old`; `alone`: no other host was seen there."""
        self._reporter.former = FormerBroker(broker=old.layout.broker, alone=alone, port=old.embedded_port)

    def clean_up(self, former: FormerBroker | None) -> None:
        """Clear the former broker once the processes that spoke there have ended; it ends too, where it is ours."""
        self._reporter.former = former
        if former is not None:
            units = self._services.units.values()
            self._left = [(unit.saved.pid, unit.saved.start_time) for unit in units if unit.has_process]
            self._look(former)

    def _look(self, former: FormerBroker) -> None:
        if any(processes.is_alive(pid, began) for pid, began in self._left):
            self._services.loop.after(LOOK_AGAIN, lambda: self._look(former))
            return
        own = [topic(self._plan.swarm, Kind.STATUS, name) for name in self._services.units]
        own.append(topic(self._plan.swarm, Kind.HOST_STATUS, self._plan.host))
        patterns = [everything(self._plan.swarm)] if former.alone else own
        threading.Thread(target=self._clear, args=(former, patterns), name="removal", daemon=True).start()

    def _clear(self, former: FormerBroker, patterns: list[str]) -> None:
        """On a thread of its own: the broker may be far, or gone."""
        try:
            number = len(clear_retained(former.broker, patterns, timeout=VISIT))
            said = f"{number} retained messages of the swarm are cleared at {former.broker.url}"
        except BusError as error:
            said = f"what the swarm retained at {former.broker.url} stays there: {error}"
        self._services.loop.post(partial(self._services.say, "change", "", said))
        self._services.loop.post(partial(self._done, former))

    def _done(self, former: FormerBroker) -> None:
        self._reporter.former = None
        services = self._services
        if former.port is not None and former.port != self._plan.embedded_port:
            broker = BrokerPane(services.loop, services.agent_panes, former.port, services.figures, services.say)
            broker.leave(sharing(former.port, self._plan.swarm, list_running()))
        self._reporter.changed()
