"""MQTT client ids: of agents, of the dispatcher, of everybody else who connects. Pure.

Letters, digits and `-` only, for some brokers refuse any other, and at most 64 of them. A broker ends the connection of
whoever has the same id, so no two programs of one swarm, nor of two swarms, may share one.
"""

import re
from enum import StrEnum
from hashlib import sha256

from swarm_tui.protocol.names import swarm_hash

#: The most characters of a client id.
LONGEST = 64
#: Of a name that is not taken as it is: how much of it is still read, and hex digits that stand for the whole.
_READ, _DIGEST = 16, 16
_PLAIN = re.compile(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*")


class Client(StrEnum):
    """A kind of connection that is not an agent's; none begins as a swarm's hash does, so none is ever an agent's."""

    DISPATCHER = "dispatcher"
    """The only persistent session of a swarm."""
    ELECTION = "election"
    """A task-manager that looks who leads."""
    SUPERVISOR = "supervisor"
    MONITOR = "monitor"
    GATEWAY = "gateway"
    OPERATOR = "operator"
    SCREEN = "screen"
    LOOK = "visit-look"
    """A short visit to what is retained."""
    CLEAR = "visit-clear"
    PROBE = "visit-probe"
    SIDE = "side"
    """A further connection of one that has more to say than the broker takes of one."""


def client_id(swarm: str, agent_id: str) -> str:
    """Return the MQTT client id of an agent, `<hash of the swarm>-<agent id>`: another for each id and swarm."""
    return _joined(swarm_hash(swarm), name=agent_id)


def client_id_of(client: Client, swarm: str = "", name: str = "", unique: str = "") -> str:
    """Return the MQTT client id of a connection of that kind: `<kind>[-<hash of the swarm>][-<name>][-<unique>]`.

    `unique` (at most 16 letters and digits, drawn anew for each connection) is never cut. Raises ValueError for any
    other.
    """
    if unique and not (len(unique) <= 16 and unique.isascii() and unique.isalnum()):
        raise ValueError(f"{unique[:40]!r} cannot end a client id: use 1 to 16 letters and digits")
    parts = [client.value, *([swarm_hash(swarm)] if swarm else [])]
    return _joined("-".join(parts), name, unique)


def side_id(first: str, number: int) -> str:
    """Return the id of the further connection `number` of the client whose id is `first`."""
    return _joined(f"{Client.SIDE.value}-{number}", first)


def dispatcher_client_id(swarm: str) -> str:
    """Return the client id of the swarm's only persistent session."""
    return client_id_of(Client.DISPATCHER, swarm)


def former_dispatcher_client_id(swarm: str) -> str:
    """Return the id that the dispatcher's session had before 0.2, which a broker may still keep messages for."""
    return f"{swarm_hash(swarm)}.dispatcher"


def _joined(before: str, name: str, after: str = "") -> str:
    room = LONGEST - len(before) - 1 - (len(after) + 1 if after else 0)
    return "-".join(part for part in (before, _spelt(name, room) if name else "", after) if part)


def _spelt(name: str, room: int) -> str:
    """Return `name` where it fits as it is, else its beginning, `--` and a digest of it, which no plain name holds."""
    if len(name) <= room and _PLAIN.fullmatch(name):
        return name
    read = re.sub(r"[^A-Za-z0-9]+", "-", name)[:_READ].strip("-")
    return f"{read}--{sha256(name.encode(errors='surrogatepass')).hexdigest()[:_DIGEST]}"
