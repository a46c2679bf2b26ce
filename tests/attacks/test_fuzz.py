"""Whatever the bytes, no reader raises, and nothing counts as proved that was not; for ten minutes as a drill."""

import contextlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from swarm_tui.bus.broker_address import parse_url
from swarm_tui.bus.port import BusError
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.load import load_layout
from swarm_tui.config.urls import check_url, shown_url
from swarm_tui.identity.door import Door
from swarm_tui.identity.keyring import SwarmKeyring
from swarm_tui.identity.registry import Registry
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.dialects import decode_foreign
from swarm_tui.protocol.envelope import Event, Outgoing, Rejected
from swarm_tui.protocol.topics import Kind, topic
from tests.examples import examples

SWARM = "s"
#: Seconds of each reader in the drill: ten minutes together.
SECONDS = 150.0
REGISTRY = Registry(home="home")
KEYS = SwarmKeyring(b"s" * 32, lambda: REGISTRY, issuer="swarm", own=frozenset({"w-1"}))
LAYOUTS = [path.read_text() for path in sorted((Path(__file__).parents[2] / "layouts").glob("*.yml"))]

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
names = st.sampled_from(
    ["task_id", "taskId", "agent_id", "type", "payload", "attempt", "epoch", "status", "result", "error", "proof", "id"]
)
bodies = st.dictionaries(names | st.text(max_size=8), values, max_size=8)
topics = st.sampled_from([topic(SWARM, kind, "w-1") for kind in Kind]) | st.text(max_size=30).map(
    lambda t: f"{SWARM}/{t}"
)
#: Cuts and insertions, by where they begin, how long they are, and what comes instead.
edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 30),
        st.binary(max_size=20) | st.sampled_from([b'"', b"\\", b'","payload":{"a":1}', b" ", b',"proof":"', b"}"]),
    ),
    min_size=1,
    max_size=4,
)


def edited(raw: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    for place, length, instead in changes:
        at = int(place * len(raw))
        raw = raw[:at] + instead + raw[at + length :]
    return raw


def proved(task_id: str) -> list[Outgoing]:
    """Words of several parties, each with its proof."""
    host = KEYS.host("home")
    assert host is not None
    said: list[Outgoing] = []
    for keys, kind, body, key in (
        (KEYS, Kind.HALT, b.Halt(reason=task_id), ""),
        (KEYS, Kind.INBOX, b.Inbox(command="cancel", task_id="t"), "w-1"),
        (host.agent("w-1"), Kind.TASK_COMPLETE, b.Complete(task_id="t", agent_id="w-1", result=task_id), ""),
    ):
        writer = Writer(SWARM, "w-1", "general", new_id=lambda: "1", clock=lambda: 1000.0, prove=keys.prove)
        said.append(writer.message(kind, body, key))
    return said


@given(topics, st.binary(max_size=300) | bodies.map(lambda body: json.dumps(body).encode()), st.booleans())
def codec(full: str, raw: bytes, retained: bool) -> None:
    """Any bytes on any topic."""
    for heard in (
        decode(SWARM, full, raw, retained, 1000.0, KEYS.judge),
        decode_foreign(SWARM, f"{SWARM}/_a/seed-1/{full[2:]}", raw, retained, 1000.0),
        Door(SWARM, KEYS).read(full, raw, retained, 1000.0),
    ):
        assert heard is None or isinstance(heard, Event | Rejected)


@given(st.text(max_size=20), edits, st.integers(0, 2))
def proof(text: str, changes: list[tuple[float, int, bytes]], which: int) -> None:
    """A proved word that somebody altered is refused, or says what was said."""
    message = proved(text)[which]
    before = decode(SWARM, message.topic, message.payload, False, 1000.0, KEYS.judge)
    assert isinstance(before, Event)
    assert before.proved_by
    raw = edited(message.payload, changes)
    after = decode(SWARM, message.topic, raw, False, 1000.0, KEYS.judge)
    if isinstance(after, Event) and after.proved_by:
        assert (after.payload, after.id, after.at, after.sender) == (
            before.payload,
            before.id,
            before.at,
            before.sender,
        )


@given(st.sampled_from(LAYOUTS), edits, values)
def layout(text: str, changes: list[tuple[float, int, bytes]], value: Any) -> None:
    """A layout that somebody mangled, and one that is anything at all."""
    folder = Path.cwd()
    for raw in (edited(text.encode(), changes), json.dumps(value).encode()):
        path = folder / "layout.yml"
        path.write_bytes(raw)
        with contextlib.suppress(ConfigError):
            load_layout(path, {"MQTT_PASSWORD": "x"}, cwd=folder)


@given(st.text(max_size=40) | st.from_regex(r"(mqtt|ws|wss|mqtts|unix)://[^ ]{0,30}", fullmatch=True))
def url(text: str) -> None:
    """Any text as a broker's URL, and one that holds a password."""
    for one in (text, f"mqtt://ann:hunter2-{len(text)}@{text}"):
        why = check_url(one)
        with contextlib.suppress(BusError):
            parse_url(one)
            assert why is None or why
        if one.startswith("mqtt://ann:") and why is None:
            assert "hunter2" not in shown_url(one)


READERS: list[Callable[[], None]] = [codec, proof, layout, url]
QUIET = list(HealthCheck)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_reader_takes_anything(reader: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings(max_examples=examples(20 if reader is layout else 60), suppress_health_check=QUIET, deadline=None)(
        reader
    )()


@pytest.mark.drill
@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.__name__)
def test_a_reader_takes_anything_for_long(
    reader: Callable[[], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    end, rounds = time.monotonic() + SECONDS, 0
    tried = settings(max_examples=500, suppress_health_check=QUIET, deadline=None, database=None)(reader)
    while time.monotonic() < end:
        tried()
        rounds += 1
    print(f"{rounds * 500:,} examples")
