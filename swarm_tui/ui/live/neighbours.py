"""Other swarms: those that were brought up here, and those on the same broker.

Each is heard by a connection of its own, into a fleet of its own, so that nothing of one is taken for another's.
"""

import re
import threading
import time
from collections import deque

from swarm_tui.bus.bulk_client import unique_client_id
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import BusError, Link
from swarm_tui.client.operator import Operator
from swarm_tui.config.home import host_name, user_name
from swarm_tui.config.model import Broker
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import Running, list_running
from swarm_tui.config.urls import shown_url
from swarm_tui.domain.fleet import Fleet
from swarm_tui.identity.account import broker_of_person
from swarm_tui.identity.open import open_operator
from swarm_tui.identity.store import IdentityError
from swarm_tui.protocol.client_ids import Client
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.names import InvalidNameError, check_swarm
from swarm_tui.protocol.rows import TaskRow, state_counts, task_rows
from swarm_tui.protocol.shards import BRANCH, number_of, whole_of
from swarm_tui.ui.model.source import Neighbour

#: Swarms that are heard at once, names that are kept, and messages of each that one look takes in.
MOST, MOST_NAMES, MOST_ITEMS = 12, 100, 2_000
#: Shards of one swarm that are heard at once.
MOST_SHARDS = 64
#: What a swarm retains, after its name; and the levels that a name may have to be found.
_SIGNS = ("dispatcher", "agents/+/status", "hosts/+/status")
LEVELS = 4
_NAMED = re.compile(r"(.+)/(?:dispatcher|agents/[^/]+/status|hosts/[^/]+/status)")
#: Seconds in which a broker names the swarms that it has.
FOUND_WITHIN = 2.0


class _Heard:
    """A connection to one swarm; where its files are damaged, there is none, and its link says why."""

    def __init__(self, view: Neighbour, broker: Broker) -> None:
        self.view = view
        self.asked = False
        self.operator: Operator | None = None
        self._items: deque[Event | Rejected | Link] = deque()
        user, host, state = user_name(), host_name(), state_dir(view.swarm)
        try:
            client = unique_client_id(Client.SCREEN, view.swarm, f"{user}@{host}")
            bus = MqttBus(broker_of_person(broker, state), client)
            keys = open_operator(state, f"{user}@{host}")
        except (IdentityError, BusError, OSError) as error:
            self._items.append(Link(False, str(error)))
            return
        self.operator = Operator(bus, view.swarm, user=user, host=host, keys=keys)
        self.operator.on_event(self._items.append)
        self.operator.on_link(self._linked)
        self.operator.start()

    def _linked(self, link: Link) -> None:
        self._items.append(link)
        if link.up and self.operator is not None:
            self.operator.look_round()

    def look(self, now: float) -> None:
        """Take in what came."""
        fleet = self.view.fleet
        for _ in range(min(len(self._items), MOST_ITEMS)):
            item = self._items.popleft()
            if isinstance(item, Link):
                fleet.link(item.up, item.reason, now)
            else:
                fleet.apply(item, now)
        fleet.tick(now)


class Neighbours:
    """The swarms beside `swarm`, whose broker is `broker`; nothing connects before `open`."""

    def __init__(self, swarm: str, broker: Broker) -> None:
        self._swarm = swarm
        self._broker = broker
        self._finder: _Finder | None = None
        self._whole = ""
        """The swarm whose shards alone are heard; empty where all are."""
        self._heard: dict[str, _Heard] = {}
        self.untold = 0
        """Number of swarms that are known and not heard: there are too many."""

    def names(self) -> list[str]:
        """Return the names that are known now."""
        here = {running.swarm for running in list_running()}
        found = self._finder.names if self._finder is not None else ()
        return sorted({*here, *found}, key=_in_order)

    def find(self, name: str) -> bool:
        """Tell whether there is such a swarm, here or on the broker; blocks for some seconds at most."""
        if name in self.names():
            return True
        finder = _Finder(self._broker)
        try:
            return finder.wait_for(name)
        finally:
            finder.close()

    def open(self, whole: str = "") -> None:
        """Begin to look for swarms, and to hear those that are known; of shards of `whole`, if that is named, alone."""
        if self._finder is None:
            self._whole, self._finder = whole, _Finder(self._broker, whole)

    def look(self) -> list[Neighbour]:
        """Take in what came of each; what is known of them, by name."""
        if self._finder is None:
            return []
        here = {running.swarm: running for running in list_running()}
        wanted = [name for name in self.names() if not self._whole or whole_of(name) == self._whole]
        for name in wanted:
            if name != self._swarm and name not in self._heard and len(self._heard) < self._most:
                self._hear(name, here.get(name))
        self.untold = len([name for name in wanted if name != self._swarm and name not in self._heard])
        now = time.time()
        for heard in self._heard.values():
            heard.look(now)
        return [self._heard[name].view for name in sorted(self._heard, key=_in_order)]

    @property
    def _most(self) -> int:
        return MOST_SHARDS if self._whole else MOST

    def _hear(self, name: str, running: Running | None) -> None:
        broker = self._broker if running is None else running.broker
        view = Neighbour(
            swarm=name, broker=shown_url(broker.url), here=running is not None, fleet=Fleet(name, kept=500)
        )
        self._heard[name] = _Heard(view, broker)

    def unasked(self) -> list[str]:
        """Return those whose dispatcher can be asked for its tasks and was not."""
        fresh = [name for name, heard in self._heard.items() if heard.view.fleet.broker_up and not heard.asked]
        for name in fresh:
            self._heard[name].asked = True
        return fresh

    def ask(self, name: str) -> list[TaskRow]:
        """Ask one's dispatcher for its tasks; blocks."""
        heard = self._heard.get(name)
        if heard is None or heard.operator is None:
            return []
        reply = heard.operator.query("tasks", {"limit": 500})
        return task_rows(reply.rows if reply is not None else ())

    def count(self, name: str) -> dict[str, int] | None:
        """Ask one's dispatcher how many of its tasks are in each state; blocks."""
        heard = self._heard.get(name)
        if heard is None or heard.operator is None:
            return None
        reply = heard.operator.query("counts")
        return state_counts(reply.rows if reply is not None else ())

    def load(self, name: str, rows: list[TaskRow]) -> None:
        """Merge the tasks of one."""
        if (heard := self._heard.get(name)) is not None:
            heard.view.fleet.load(rows, time.time())

    def close(self) -> None:
        """Hear nothing more; blocks for a moment."""
        finder, heard = self._finder, list(self._heard.values())
        self._finder, self._heard = None, {}
        if finder is not None:
            finder.close()
        for each in heard:
            if each.operator is not None:
                each.operator.close(0.2)


class _Finder:
    """A connection by which a broker names the swarms that it has, as far as it lets guests read them."""

    def __init__(self, broker: Broker, whole: str = "") -> None:
        self.names: set[str] = set()
        self._more = threading.Condition()
        self._bus = MqttBus(broker, unique_client_id(Client.LOOK))
        if broker.profile != "aws":  # There a filter beyond one's rights ends the connection, and each one counts.
            places = [f"{whole}/{BRANCH}/+"] if whole else ["/".join("+" * levels) for levels in range(1, LEVELS + 1)]
            for place in places:
                for sign in _SIGNS:
                    self._bus.subscribe(f"{place}/{sign}", 0)
        self._bus.start(self._message, lambda _: None)

    def _message(self, topic: str, payload: bytes, retained: bool) -> None:
        name = swarm_of_topic(topic) if payload else None
        if name is not None and name not in self.names and len(self.names) < MOST_NAMES:
            with self._more:
                self.names.add(name)
                self._more.notify_all()

    def wait_for(self, name: str) -> bool:
        """Tell whether the broker names it in time."""
        with self._more:
            return self._more.wait_for(lambda: name in self.names, FOUND_WITHIN)

    def close(self) -> None:
        """Leave."""
        self._bus.close(0.2)


def _in_order(name: str) -> tuple[str, int]:
    """Return what swarms are sorted by: shards of one swarm by their number."""
    return whole_of(name) or name, number_of(name) or 0


def swarm_of_topic(topic: str) -> str | None:
    """Return the swarm that a retained topic is of; None of what is no swarm's, or of another dialect's."""
    found = _NAMED.fullmatch(topic)
    if found is None or "_a" in found[1].split("/"):
        return None
    try:
        return check_swarm(found[1])
    except InvalidNameError:
        return None
