"""Shut a swarm down: agents in reverse order, then what it retained, then the broker, then the panes."""

from collections.abc import Callable, Iterable
from contextlib import suppress

from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.port import BusError
from swarm_tui.config.files import remove
from swarm_tui.config.paths import StateDir
from swarm_tui.config.running import Running, forget_running, list_running
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind, everything, topic
from swarm_tui.supervisor import plan as plans
from swarm_tui.supervisor.broker_pane import BrokerPane
from swarm_tui.supervisor.host_link import HostLink
from swarm_tui.supervisor.host_reporter import HostReporter
from swarm_tui.supervisor.lifecycle import Lifecycle
from swarm_tui.supervisor.loop import Call
from swarm_tui.supervisor.unit import Unit

#: How long retained messages are waited for after the last one came, seconds.
QUIET = 0.15
LINK_WAIT = 1.0


class OrderlyShutdown:
    """Carries out one `down`, from the first drain to the last pane; `done` is called when nothing is left but us.

    `shared()` says whether other hosts are in the swarm, whose retained messages then stay.
    """

    def __init__(
        self,
        state: StateDir,
        lifecycle: Lifecycle,
        link: HostLink,
        reporter: HostReporter,
        broker: BrokerPane | None,
        *,
        drain: bool,
        purge: bool,
        shared: Callable[[], bool],
        done: Call,
    ) -> None:
        self._state, self._lifecycle, self._services = state, lifecycle, lifecycle.services
        self._link, self._reporter, self._broker = link, reporter, broker
        self._drain, self._purge = drain, purge
        self._shared, self._done = shared, done
        self._layers: list[list[Unit]] = []
        self._retained: set[str] = set()
        self._collecting = False
        self._heard = 0

    def begin(self) -> None:
        """Start with those nobody depends on."""
        self._services.closing = True
        self._layers = layers(self._services.units)
        self._services.say("down", "", "drains and stops" if self._drain else "stops now")
        self._next()

    def hurry(self, now: bool) -> None:
        """A second `down`, with `--now`: no more draining."""
        if now and self._drain:
            self._drain = False
            for unit in self._services.units.values():
                if unit.has_process:
                    self._lifecycle.stop(unit, drain=False)

    def waits_for(self) -> list[str]:
        """Return the ids of those that still live."""
        return [unit.agent_id for unit in self._services.units.values() if unit.has_process]

    def _next(self) -> None:
        if not self._layers:
            self._clear()
            return
        layer = self._layers.pop()
        for unit in layer:
            unit.saved.wanted = False
        self._lifecycle.stop_all(layer, drain=self._drain, then=lambda: self._services.loop.post(self._next))

    # What is retained.

    def _clear(self, waited: float = 0.0) -> None:
        """Hear all that is retained under the swarm, and clear it; other hosts' words are theirs."""
        link = self._link
        if not link.is_up:
            if waited < LINK_WAIT:
                self._services.loop.after(0.05, lambda: self._clear(waited + 0.05))
            else:
                self._close()
            return
        self._collecting = self._reporter.silent = True
        own = {f"{link.swarm}/agents/{name}/status" for name in self._services.units}
        own.add(f"{link.swarm}/hosts/{link.host}/status")
        if self._shared():
            self._retained = own
            self._publish_clears()
            return
        self._retained = own
        link.on_raw = self._raw
        link.subscribe(everything(link.swarm))
        self._services.loop.after(QUIET, lambda: self._quiet(0))

    def _raw(self, name: str) -> None:
        self._heard += 1
        self._retained.add(name)

    def _quiet(self, before: int) -> None:
        if self._heard != before:
            heard = self._heard
            self._services.loop.after(QUIET, lambda: self._quiet(heard))
        else:
            self._publish_clears()

    def _publish_clears(self) -> None:
        if not self._purge:
            # Only a person lifts a halt: the dispatcher would hear the empty message when it begins anew.
            self._retained.discard(topic(self._reporter.plan.swarm, Kind.HALT))
        for name in sorted(self._retained):
            self._link.publish(Outgoing(name, b"", 1, True))
        self._link.close(2.0)
        self._close()

    def hear(self, event: Event) -> bool:
        """Return whether the message is only of use to us."""
        return self._collecting and event.kind is not Kind.STATUS

    # What is left.

    def _close(self) -> None:
        services, swarm = self._services, self._reporter.plan.swarm
        if self._broker is not None:
            self._broker.leave(sharing(self._broker.port, swarm, list_running()))
        services.agent_panes.close([unit.pane_id for unit in services.units.values() if unit.pane_id is not None])
        forget_running(swarm)
        remove(plans.down_path(self._state))
        services.say("down", "", "all has ended")
        self._done()


def sharing(port: int, swarm: str, running: Iterable[Running]) -> list[str]:
    """Return the sessions of the other swarms whose embedded broker is the one on `port`."""
    others = (other for other in running if other.embedded and other.swarm != swarm)
    return [other.session for other in others if port_of(other.broker.url) == port]


def port_of(url: str) -> int | None:
    """Return the port that a broker's URL names; None when it names none that makes sense."""
    with suppress(BusError):
        return parse_url(url).port
    return None


def layers(units: dict[str, Unit]) -> list[list[Unit]]:
    """Return the units in the order of starting: a layer depends only on those before it; task-managers come first."""
    depth: dict[str, int] = {}

    def of(name: str, path: frozenset[str]) -> int:
        if name in depth:
            return depth[name]
        unit = units[name]
        below = [other for other in unit.spec.depends_on if other in units and other not in path]
        base = 0 if unit.spec.role == "task-manager" else 1
        depth[name] = max([base, *(of(other, path | {name}) + 1 for other in below)])
        return depth[name]

    for name in units:
        of(name, frozenset({name}))
    found: list[list[Unit]] = [[] for _ in range(max(depth.values(), default=-1) + 1)]
    for name, level in depth.items():
        found[level].append(units[name])
    return [layer for layer in found if layer]
