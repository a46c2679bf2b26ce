"""What a stranger leaves on the topics that a broker retains, for all who come later; each of the wire's table."""

import os
import time
from collections.abc import Callable

from swarm_tui.identity.keyring import GUEST
from swarm_tui.identity.open import open_host
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import RETAINED, Kind, topic
from tests.attacks.swarm import MANAGER, SWARM, WORKER, Attack, Swarm
from tests.wait import until

#: Seconds in which a topic is put right, as the tests have it.
WITHIN = 4.0
#: What can be read there, and counts for nothing without a proof.
BODIES: dict[Kind, b.Body] = {
    Kind.STATUS: b.Status(status="online", role="evil", incarnation="evil", capacity=9),
    Kind.HALT: b.Halt(reason="evil"),
    Kind.DISPATCHER: b.Dispatcher(instance="evil/1", epoch=9, online=True),
    Kind.HOST_STATUS: b.HostStatus(session="evil"),
    Kind.SCALE: b.Scale(desired=9, reason="evil"),
}
#: Names of one who is there and of one who is not, whose topic only the dispatcher minds.
NAMES = {Kind.STATUS: (WORKER, MANAGER), Kind.HOST_STATUS: ("home", "ghost"), Kind.SCALE: ("general", "ghost")}


def _topics() -> list[tuple[Kind, str]]:
    return [(kind, name) for kind in sorted(RETAINED) for name in NAMES.get(kind, ("",))]


def _stays(swarm: Swarm) -> Callable[[], object]:
    """Tell whether it is still there when it should be gone."""
    there = {topic(SWARM, kind, name) for kind, name in _topics()}
    until(lambda: there <= {full for full, raw in list(swarm.raw) if b"evil" in raw}, what="it to be there")
    end = time.monotonic() + WITHIN

    def evil() -> list[str]:
        return [full for full, message in dict(swarm.broker.retained).items() if b"evil" in message.payload]

    def stays() -> list[str]:
        while evil() and time.monotonic() < end:
            time.sleep(0.01)
        return evil()

    return stays


def _forge(swarm: Swarm) -> None:
    for kind, name in _topics():
        swarm.forge(kind, BODIES[kind], name, sender="evil")


def planted(swarm: Swarm) -> Callable[[], object]:
    """A forged word on each retained topic, while the dispatcher leads."""
    _forge(swarm)
    return _stays(swarm)


def planted_bytes(swarm: Swarm) -> Callable[[], object]:
    """Bytes that nobody can read on each retained topic."""
    for kind, name in _topics():
        swarm.send(topic(SWARM, kind, name), b"{evil", retain=True)
    return _stays(swarm)


def planted_before(swarm: Swarm) -> Callable[[], object]:
    """A forged word on each retained topic, before the dispatcher begins."""
    swarm.manager.close()
    _forge(swarm)
    swarm.lead()
    return _stays(swarm)


def planted_behind_a_repeat(swarm: Swarm) -> Callable[[], object]:
    """A forged word, and behind it what the owner said once, which the broker is not told to retain."""
    keys = open_host(swarm.state) if swarm.guarded else GUEST
    said = swarm.host_says(keys, "home", os.getpid())
    _forge(swarm)
    swarm.send(topic(SWARM, Kind.HOST_STATUS, "home"), said)
    return _stays(swarm)


def emptied(swarm: Swarm) -> Callable[[], object]:
    """A person's halt and number of agents, emptied on the broker: who comes later does not hear of them."""
    swarm.pin(7)
    swarm.operator.act(Kind.HALT, b.Halt(reason="bad release"))
    until(lambda: any("bad release" in line for line in swarm.link.lines), what="the halt")
    for kind, name in ((Kind.SCALE, "general"), (Kind.HALT, "")):
        swarm.send(topic(SWARM, kind, name), b"", retain=True)

    def gone() -> bool:
        end = time.monotonic() + WITHIN
        wanted = {topic(SWARM, Kind.SCALE, "general"): b'"desired":7', topic(SWARM, Kind.HALT): b"bad release"}
        while time.monotonic() < end:
            there = dict(swarm.broker.retained)
            if all(full in there and text in there[full].payload for full, text in wanted.items()):
                return False
            time.sleep(0.01)
        return True

    return gone


ATTACKS: list[Attack] = [planted, planted_bytes, planted_before, planted_behind_a_repeat, emptied]
