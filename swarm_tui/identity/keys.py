"""Keys of a swarm's identities, all derived from one secret: whoever holds a key can make those below it, none above.

the swarm's secret (the dispatcher's host)
├── a host's key (its supervisor)
│   ├── its agents' keys, one each
│   └── its common key, with which orders to all reach everybody on that host
├── an operator's key
└── an added guest's key, which proves nothing: its password on an embedded broker comes of it
"""

from swarm_tui.protocol.proof import derive

#: What a MAC is for: an order to one, an order to all of a host, a word of one's own, an operator's act.
ORDER, ORDERS, WORD, ACT = "order", "orders", "word", "act"


def host_key(secret: bytes, host: str, generation: int) -> bytes:
    """The key of a host; another `generation` after each rotation."""
    return derive(secret, "host", host, str(generation))


def operator_key(secret: bytes, operator: str, generation: int) -> bytes:
    """The key of an operator; another `generation` after each rotation."""
    return derive(secret, "operator", operator, str(generation))


def guest_key(secret: bytes, guest: str, generation: int) -> bytes:
    """The key of a guest that was added; another `generation` after each rotation."""
    return derive(secret, "guest", guest, str(generation))


def agent_key(host: bytes, agent_id: str) -> bytes:
    """The key of an agent on the host whose key is `host`."""
    return derive(host, "agent", agent_id)


def common_key(host: bytes) -> bytes:
    """The key that all of a host share, to read orders to all; it lets nobody order another host."""
    return derive(host, "common")
