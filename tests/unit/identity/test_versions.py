"""Parties of an older version, or of one that is not known yet: who it is, which, where, and what to do."""

import json

import pytest

from swarm_tui.domain.fleet import Fleet
from swarm_tui.identity.keyring import AgentKeyring, HostKeyring, Keyring, SwarmKeyring
from swarm_tui.identity.keys import host_key
from swarm_tui.identity.registry import Registry
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.topics import Kind, topic
from swarm_tui.protocol.versions import OTHER_VERSION

SECRET, NOW = b"s" * 32, 1_700_000_000.0
KEYS = SwarmKeyring(SECRET, lambda: Registry(home="home"), issuer="swarm", own=frozenset({"w"}))
HOME = HostKeyring("home", host_key(SECRET, "home", 1))


def heard(kind: Kind, key: str, payload: dict[str, object], keys: Keyring = KEYS, **more: object) -> Event | Rejected:
    said = {"id": "i", "agent_id": more.pop("sender", key), "role": "general", "v": 1, "payload": payload, **more}
    full = topic("s", kind, key)
    event = decode("s", full, json.dumps(said, separators=(",", ":")).encode(), False, NOW, keys.judge)
    assert event is not None
    return event


def hint(*words: object, **more: object) -> str:
    event = heard(*words, **more)  # type: ignore[arg-type]
    assert isinstance(event, Rejected)
    assert event.unproved
    return event.hint


def test_an_older_agent_is_named_with_its_version_its_host_and_what_to_do() -> None:
    said = hint(Kind.STATUS, "w", {"status": "online", "version": "0.1.0", "host": "box"})
    assert said == (
        "w on box is of version 0.1.0 and proves nothing, so nothing that it says counts: bring its host to this "
        "version, by `swarm-tui up --renew` there (another host needs its join file)"
    )


def test_an_older_host_is_named() -> None:
    said = hint(Kind.HOST_STATUS, "far", {"status": "online", "panes": [], "version": "0.1.0"})
    assert said.startswith("far is of version 0.1.0 and proves nothing")


@pytest.mark.parametrize("keys", [KEYS, HOME, HOME.agent("w")])
def test_an_older_dispatcher_is_told_by_all_who_hear_its_claim(keys: Keyring) -> None:
    assert isinstance(keys, SwarmKeyring | HostKeyring | AgentKeyring)
    said = hint(Kind.DISPATCHER, "", {"instance": "box/1", "epoch": 3, "online": True}, keys, sender="boss")
    assert said.startswith("a dispatcher claims to lead and proves nothing: one of a version before 0.2")


def test_an_older_client_is_told_what_to_order_by() -> None:
    said = hint(
        Kind.TASK_CANCEL, "", {"task_id": "t"}, sender="operator:ann@box", role="operator",
        expires_at="2099-01-01T00:00:00Z",
    )  # fmt: skip
    assert said.startswith("operator:ann@box orders and proves nothing: by a version before 0.2, or without a key")


def test_a_newer_version_is_told_too() -> None:
    newer = hint(Kind.STATUS, "w", {"status": "online", "version": "9.0"}, v=2)
    assert newer == "w speaks version 2 of the wire, and 1 is read here: bring this side to its version"
    odd = hint(Kind.STATUS, "w", {"status": "online"}, proof="2;swarm;abc")
    assert odd.startswith("w proves in a form that is not known here")


def test_a_forger_and_what_needs_no_proof_tell_of_no_version() -> None:
    forged = hint(Kind.STATUS, "w", {"status": "online", "version": "0.1.0"}, proof="agent:w@home swarm=" + "A" * 22)
    assert forged == ""
    assert isinstance(heard(Kind.TASK_NEW, "", {"task_id": "t", "type": "noop"}, sender="x"), Event)


def test_one_alert_tells_of_them_all() -> None:
    fleet = Fleet("s")
    for n in range(50):
        fleet.apply(heard(Kind.HOST_STATUS, f"far-{n}", {"status": "online", "version": "0.1.0"}), NOW)
    assert list(fleet.alerts) == [OTHER_VERSION]
    assert fleet.alerts[OTHER_VERSION].message.startswith("far-49 is of version 0.1.0")
