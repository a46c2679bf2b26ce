"""docs/PROTOCOL.md says who may say what and who judges it; the keys themselves are asked."""

from collections.abc import Callable

from swarm_tui.identity.keyring import GUEST, AgentKeyring, HostKeyring, Keyring, OperatorKeyring, SwarmKeyring
from swarm_tui.identity.keys import host_key, operator_key
from swarm_tui.identity.registry import Identity, Registry, add
from swarm_tui.protocol.proof import split
from swarm_tui.protocol.raw import UnprovedError
from swarm_tui.protocol.topics import Kind, topic
from tests.unit.house.pages import read, rows, section
from tests.unit.house.test_protocol_page import plain

PAGE = read("PROTOCOL.md")
SECRET = b"s" * 32
RAW = b'{"id":"1","payload":{}}'
REGISTRY = add(add(Registry(home="home"), "far", Identity(kind="host")), "ann", Identity(kind="operator"))
KINDS = [kind for kind in Kind if kind is not Kind.OTHER]


def swarm(guests: str = "work") -> SwarmKeyring:
    return SwarmKeyring(SECRET, lambda: REGISTRY, issuer="swarm", guests=guests, own=frozenset({"w"}))


HOST = HostKeyring("far", host_key(SECRET, "far", 1))
AGENT = HostKeyring("home", host_key(SECRET, "home", 1)).agent("w")
PERSON = OperatorKeyring("ann", operator_key(SECRET, "ann", 1))


def judged(judge: Keyring, party: Keyring, kind: Kind, key: str = "", speaks_for: str = "") -> bool:
    full = topic("s", kind, key)
    try:
        judge.judge(kind, key, full, split(party.prove(kind, key, full, RAW)), speaks_for)
    except UnprovedError:
        return False
    return True


def of_host(kind: Kind) -> str:
    judge = swarm()
    own = {Kind.HOST_STATUS: "far", Kind.INBOX: "far-01"}.get(kind, "x")
    if not judged(judge, HOST, kind, own, "w"):
        return ""
    return "yes" if judged(judge, HOST, kind, "home" if kind is Kind.HOST_STATUS else "w", "w") else "its own"


def of_agent(kind: Kind) -> str:
    judge = swarm()
    if not judged(judge, AGENT, kind, "w", "w"):
        return ""
    return "yes" if judged(judge, AGENT, kind, "v", "v") else "its own"


def of_guest(kind: Kind) -> str:
    allowed = [guests for guests in ("none", "publish", "work") if judged(swarm(guests), GUEST, kind, "m", "m")]
    if not allowed:
        return ""
    assert allowed == ["none", "publish", "work"][-len(allowed) :], "each policy allows what the one before does"
    own = not judged(swarm(), GUEST, kind, "w", "w")
    return f"`{allowed[0]}`{', its own' if own else ''}"


MAY: list[Callable[[Kind], str]] = [
    lambda kind: "yes" if judged(swarm(), swarm(), kind, "w", "w") else "",
    of_host,
    of_agent,
    lambda kind: "yes" if judged(swarm(), PERSON, kind, "x", "w") else "",
    of_guest,
]


def test_who_may_say_what_is_told_as_the_keys_judge_it() -> None:
    told = {plain(cells[0]): cells[1:] for cells in rows(section(PAGE, "### Who may say what"))}
    asked = {kind.value: [may(kind) for may in MAY] for kind in KINDS}
    assert told == asked, "\n".join(f"| `{name}` | {' | '.join(cells)} |" for name, cells in asked.items())


def test_the_dispatchers_word_on_who_does_a_task_is_no_agents() -> None:
    assert judged(swarm(), swarm(), Kind.TASK_ASSIGNED)
    for party in (AGENT, HOST, PERSON, GUEST):
        assert not judged(swarm(), party, Kind.TASK_ASSIGNED)


def refuses(judge: Keyring, key: str, speaks_for: str) -> set[str]:
    """What a party does not take from a guest."""
    return {kind.value for kind in KINDS if not judged(judge, GUEST, kind, key, speaks_for)}


def test_who_judges_what_is_told() -> None:
    told = {
        cells[0]: {plain(name) for name in cells[1].split(", ") if name}
        for cells in rows(section(PAGE, "### Who judges"))
    }
    mine = HostKeyring("far", host_key(SECRET, "far", 1), frozenset({"far-01"}))
    assert isinstance(AGENT, AgentKeyring)
    assert told == {
        "an agent": refuses(AGENT, "w", "w"),
        "a joined host": refuses(mine, "far", "far-01"),
        "an operator elsewhere": refuses(PERSON, "x", "x"),
    }
