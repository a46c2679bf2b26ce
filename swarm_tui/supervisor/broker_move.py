"""Move a swarm to another broker: nothing retained, and no broker of ours, is left at the one it had."""

import os
import threading
import time
from functools import partial

from swarm_tui.bus.port import BusError
from swarm_tui.bus.session import clear_retained, retained
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import list_running
from swarm_tui.config.urls import shown_url
from swarm_tui.identity.account import broker_of_swarm
from swarm_tui.identity.store import IdentityError
from swarm_tui.protocol import codec
from swarm_tui.protocol.bodies import HostStatus
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, everything, topic
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.broker_pane import BrokerPane
from swarm_tui.supervisor.host_link import HostLink
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

    def __init__(self, services: Services, link: HostLink, reporter: HostReporter, plan: Plan) -> None:
        self._services, self._link, self._reporter, self._plan = services, link, reporter, plan
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
        # Only what we ourselves have said at the new broker shows whether the former one is another at all.
        if self._link.echo is None or any(processes.is_alive(pid, began) for pid, began in self._left):
            self._services.loop.after(LOOK_AGAIN, lambda: self._look(former))
            return
        own = [topic(self._plan.swarm, Kind.STATUS, name) for name in self._services.units]
        own.append(topic(self._plan.swarm, Kind.HOST_STATUS, self._plan.host))
        patterns = [everything(self._plan.swarm)] if former.alone else own
        threading.Thread(target=self._clear, args=(former, patterns), name="removal", daemon=True).start()

    def _clear(self, former: FormerBroker, patterns: list[str]) -> None:
        """On a thread of its own: the broker may be far, or gone."""
        try:
            if self._is_same(former):
                said = f"{shown_url(former.broker.url)} is the same broker, spelt another way: nothing is cleared"
                self._services.loop.post(partial(self._finish, former, said, same=True))
                return
            number = len(clear_retained(self._route(former), patterns, timeout=VISIT))
            said = f"{number} retained messages of the swarm are cleared at {shown_url(former.broker.url)}"
        except (BusError, IdentityError) as error:
            said = f"what the swarm retained at {shown_url(former.broker.url)} stays there: {error}"
        self._services.loop.post(partial(self._finish, former, said))

    def _is_same(self, former: FormerBroker) -> bool:
        """Return whether the former broker retains what this very process has said at the new one. Raises BusError."""
        name = topic(self._plan.swarm, Kind.HOST_STATUS, self._plan.host)
        raw = retained(self._route(former), name, VISIT)
        event = codec.decode(self._plan.swarm, name, raw, True, time.time()) if raw else None
        body = event.body if isinstance(event, Event) else None
        return isinstance(body, HostStatus) and body.status == "online" and body.pid == os.getpid()

    def _route(self, former: FormerBroker) -> Broker:
        return broker_of_swarm(former.broker, state_dir(self._plan.swarm))

    def _finish(self, former: FormerBroker, said: str, *, same: bool = False) -> None:
        self._services.say("change", "", said)
        self._reporter.former = None
        services = self._services
        if not same and former.port is not None and former.port != self._plan.embedded_port:
            broker = BrokerPane(services.loop, services.agent_panes, former.port, services.figures, services.say)
            broker.leave(sharing(former.port, self._plan.swarm, list_running()))
        self._reporter.changed()
