"""Who may do what on an embedded broker, with a real mosquitto that has the swarm's rules."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from swarm_tui.agent.launch import environment_of, with_account
from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import Link
from swarm_tui.bus.probe import probe
from swarm_tui.config.model import AgentEntry, Broker, Layout, Policy
from swarm_tui.config.paths import StateDir, state_dir
from swarm_tui.identity import registry, store
from swarm_tui.identity.account import broker_of_agent, broker_of_foreign, broker_of_swarm, password_of, user_name
from swarm_tui.identity.registry import Identity, IdentityKind
from swarm_tui.protocol.envelope import Outgoing
from swarm_tui.supervisor.broker_rules import admit, dismiss, expel, forget_own, key_of, let_go
from swarm_tui.supervisor.plan import Plan
from tests.conftest import RealBroker, pick_port
from tests.wait import until

AGENTS = [
    AgentEntry(role="task-manager", id="boss"),
    AgentEntry(role="general", id="worker"),
    AgentEntry(role="general", id="old", dialect="seed", command=["true"]),
]


class Swarm:
    """A swarm whose broker is embedded on `port`, with nothing running but that."""

    def __init__(self, port: int, name: str = "s", **layout: Any) -> None:
        self.url = f"mqtt://127.0.0.1:{port}"
        settings = {"broker": Broker(url=self.url), "agents": AGENTS, **layout}
        self.plan = Plan(
            layout=Layout(swarm=name, **settings), path="", workdir="/", host="home", session=name, embedded_port=port
        )
        self.state: StateDir = state_dir(name).create()
        self.secret = store.make_secret(self.state, "home")
        admit(self.plan, self.state)

    @property
    def guest(self) -> Broker:
        return Broker(url=self.url)

    @property
    def own(self) -> Broker:
        return broker_of_swarm(self.plan.layout.broker, self.state)

    def agent(self, name: str) -> Broker:
        return broker_of_agent(self.plan.layout.broker, str(self.state.root), name)

    def add(self, name: str, kind: IdentityKind) -> Broker:
        """An identity more, and its way to the broker."""
        known = registry.add(store.read_registry(self.state), name, Identity(kind=kind))
        store.write_registry(self.state, known)
        admit(self.plan, self.state)
        password = password_of(key_of(self.secret, name, known.identities[name]))
        return Broker(url=self.url, username=user_name(self.plan.swarm, kind, name), password=password)

    def revoke(self, name: str) -> None:
        store.write_registry(self.state, registry.revoke(store.read_registry(self.state), name, time.time()))
        admit(self.plan, self.state)


class Client:
    """A connection that hears all of the swarm `s`, or of what it is told."""

    made: list["Client"]

    def __init__(self, broker: Broker, name: str, pattern: str = "s/#", will: Outgoing | None = None) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self.links: list[Link] = []
        self.bus = MqttBus(broker, name)
        if will is not None:
            self.bus.set_will(will)
        self.bus.subscribe(pattern)
        self.bus.start(lambda topic, payload, _: self.heard.append((topic, payload)), self.links.append)

    def say(self, topic: str, payload: bytes = b"x", *, retain: bool = False) -> None:
        acked: list[int] = []
        self.bus.publish(Outgoing(topic, payload, 1, retain), lambda: acked.append(1))
        until(lambda: acked, what=f"the broker to take {topic}")


@contextmanager
def client(broker: Broker, name: str = "c", pattern: str = "s/#", will: Outgoing | None = None) -> Iterator[Client]:
    made = Client(broker, name, pattern, will)
    try:
        until(lambda: made.links and made.bus.is_up(), what=f"{name} to be accepted: {made.links}")
        yield made
    finally:
        made.bus.close(0.0)


@pytest.fixture
def port() -> int:
    return pick_port()


@pytest.fixture
def broker(port: int, make_broker: Callable[..., RealBroker]) -> Callable[[], RealBroker]:
    return lambda: make_broker(guarded=port)


def reaches(sender: Client, ear: Client, topic: str) -> bool:
    """Whether what `sender` says on `topic` comes to `ear`; what is said after it does in any case."""
    sender.say(topic, b"asked")
    # Of two messages of one connection the second comes last.
    sender.say("s/tasks/new", b"after")
    until(lambda: ("s/tasks/new", b"after") in ear.heard, what="what everybody may say")
    came = (topic, b"asked") in ear.heard
    ear.heard.clear()
    return came


def test_a_guest_has_exactly_the_guests_topics(port: int, broker: Callable[[], RealBroker]) -> None:
    swarm = Swarm(port)
    broker()
    with client(swarm.own, "ear") as ear, client(swarm.guest, "guest") as guest:
        said = {name: reaches(guest, ear, f"s/{name}") for name in ("tasks/new", "tasks/complete", "_a/old/tasks/new")}
        ordered = {name: reaches(guest, ear, f"s/{name}") for name in ("halt", "dispatcher", "agents/worker/inbox")}
        ear.say("s/halt", b"ours")
        until(lambda: ("s/halt", b"ours") in guest.heard, what="the guest to read")
    assert all(said.values()), said
    assert not any(ordered.values()), ordered


def test_without_guests_nobody_comes_in_without_a_name(port: int, broker: Callable[[], RealBroker]) -> None:
    swarm = Swarm(port, policy=Policy(guests="none"))
    broker()
    assert probe(swarm.guest).kind == "password"
    assert probe(swarm.own).ok
    assert probe(Broker(url=swarm.url, username=swarm.own.username, password="guessed")).kind == "password"


def test_each_of_the_host_has_its_own_account_and_no_more_than_its_part(
    port: int, broker: Callable[[], RealBroker]
) -> None:
    swarm = Swarm(port)
    broker()
    assert swarm.own.url.startswith("unix:///")
    assert len({swarm.own.username, swarm.agent("worker").username, swarm.agent("by-hand").username}) == 3
    with client(swarm.own, "ear") as ear, client(swarm.agent("worker"), "worker") as worker:
        assert reaches(worker, ear, "s/agents/worker/status")
        assert not reaches(worker, ear, "s/agents/boss/status")
        assert not reaches(worker, ear, "s/tasks/approve")
    foreign = broker_of_foreign(swarm.plan.layout.broker, str(swarm.state.root), "old")
    with client(swarm.own, "ear") as ear, client(foreign, "old", "s/_a/old/#") as old:
        old.say("s/_a/old/tasks/complete", b"mine")
        old.say("s/_a/other/tasks/complete", b"another's")
        old.say("s/_a/old/tasks/complete", b"last")
        until(lambda: ("s/_a/old/tasks/complete", b"last") in ear.heard)
        assert [payload for _, payload in ear.heard] == [b"mine", b"last"]


def test_who_is_revoked_is_out_within_a_second_and_can_do_nothing_after(
    port: int, broker: Callable[[], RealBroker]
) -> None:
    swarm = Swarm(port)
    broker()
    helper = swarm.add("helper", "host")
    until(lambda: probe(helper).ok, what="the broker to know it")
    word = Outgoing("s/hosts/helper/status", b"last word", 1, True)
    with client(swarm.own, "ear") as ear, client(swarm.guest, "guest") as guest:
        with client(helper, "helper", will=word) as revoked:
            revoked.say("s/hosts/helper/status", b"here")
            began = time.monotonic()
            swarm.revoke("helper")
            until(lambda: not revoked.bus.is_up(), limit=1.0, what="it to be cut off")
            assert time.monotonic() - began < 1.0
            until(lambda: revoked.links[-1].kind == "password", what="it to be refused from then on")
        assert probe(helper).kind == "password"
        ear.say("s/halt", b"after")
        until(lambda: ("s/halt", b"after") in guest.heard, what="the others, who stayed")
        assert [link.up for link in (*ear.links, *guest.links)] == [True, True]
        assert ("s/hosts/helper/status", b"here") in ear.heard
        assert ("s/hosts/helper/status", b"last word") not in ear.heard


def test_whoever_is_expelled_is_cut_off_and_the_others_stay(port: int, broker: Callable[[], RealBroker]) -> None:
    swarm = Swarm(port)
    broker()
    helper, other = swarm.add("helper", "host"), swarm.add("other", "host")
    until(lambda: probe(other).ok, what="the broker to know them")
    with client(swarm.own, "ear") as ear, client(helper, "helper") as revoked:
        assert expel(port, "s", str(helper.username))
        until(lambda: not revoked.bus.is_up() and revoked.links[-1].kind == "password", what="it to be refused")
        assert [link.up for link in ear.links] == [True]
    assert probe(other).ok
    assert not expel(port, "s", str(helper.username))
    assert not expel(port, "t", str(other.username))


def test_an_agent_that_the_layout_names_no_more_says_farewell_before_it_is_let_go(
    port: int, broker: Callable[[], RealBroker]
) -> None:
    swarm = Swarm(port)
    broker()
    worker = swarm.agent("worker")
    until(lambda: probe(worker).ok, what="the broker to know it")
    layout = swarm.plan.layout
    fewer = msgspec.structs.replace(layout, agents=[each for each in layout.agents if each.id != "worker"])
    plan = msgspec.structs.replace(swarm.plan, layout=fewer)
    with client(swarm.own, "ear") as ear, client(worker, "worker") as leaving:
        for _ in range(2):  # Whoever runs `up` once more changes nothing.
            admit(plan, swarm.state, leaving=["worker"])
        assert reaches(leaving, ear, "s/agents/worker/status")
        let_go(swarm.plan, swarm.state, "worker")
        assert reaches(leaving, ear, "s/agents/worker/status"), "that plan names it"
        let_go(plan, swarm.state, "worker")
        until(lambda: not leaving.bus.is_up() and leaving.links[-1].kind == "password", what="it to be refused")
    admit(swarm.plan, swarm.state)
    admit(plan, swarm.state)
    until(lambda: probe(worker).kind == "password", what="one that does not run to be known no more")


def test_to_revoke_loads_neither_a_client_nor_a_reader_of_layouts() -> None:
    # Its start is most of the second within which the revoked one is out.
    code = (
        "import sys, swarm_tui.cli.broker, swarm_tui.broker.mosquitto, swarm_tui.supervisor.broker_rules\n"
        "print([name for name in ('paho', 'yaml', 'asyncio') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "[]"


def test_two_swarms_on_one_broker_know_nothing_of_each_other(port: int, broker: Callable[[], RealBroker]) -> None:
    one, other = Swarm(port), Swarm(port, "t", policy=Policy(guests="none"))
    real = broker()
    with client(one.own, "one", "#") as ear, client(other.own, "other", "#") as second:
        second.say("t/halt", b"its own")
        second.say("s/halt", b"another's")
        ear.say("s/halt", b"mine")
        until(lambda: ear.heard and second.heard, what="each to hear itself")
        assert (ear.heard, second.heard) == ([("s/halt", b"mine")], [("t/halt", b"its own")])
    way = other.own
    dismiss(port, "t")
    until(lambda: probe(way).kind == "password", what="a swarm that went down to be forgotten")
    assert probe(one.own).ok
    assert real.embedded.pid() is not None


def test_the_layouts_own_user_is_a_guest_with_a_name(port: int, broker: Callable[[], RealBroker]) -> None:
    url = f"mqtt://127.0.0.1:{port}"
    swarm = Swarm(port, broker=Broker(url=url, username="me", password="chosen"), policy=Policy(guests="publish"))
    broker()
    named = Broker(url=url, username="me", password="chosen")
    with client(swarm.own, "ear") as ear, client(named, "me") as me:
        assert reaches(me, ear, "s/tasks/new")
        assert not reaches(me, ear, "s/tasks/complete")


def test_a_killed_broker_comes_back_on_its_socket(port: int, broker: Callable[[], RealBroker]) -> None:
    swarm = Swarm(port)
    real = broker()
    with client(swarm.own, "c") as one:
        real.kill()
        until(lambda: not one.bus.is_up())
        real.start()
        until(one.bus.is_up, limit=10, what="the bus to be back")


def test_an_open_broker_of_an_earlier_version_ends_to_come_back_guarded(
    port: int, make_broker: Callable[..., RealBroker]
) -> None:
    real = make_broker(guarded=port)
    real.stop()
    EmbeddedBroker(port, real.embedded.folder, guarded=False).prepare()
    real.embedded.guarded = False
    real.start()
    until(real.embedded.pid)
    Swarm(port)
    assert real.process is not None
    assert real.process.wait(5) == 0
    real.process = None


def test_a_broker_that_took_our_ones_place_is_reached_as_the_layout_says(port: int) -> None:
    swarm = Swarm(port)
    assert swarm.own.url.startswith("unix://")
    forget_own(msgspec.structs.replace(swarm.plan, embedded_port=None))
    assert swarm.own == swarm.guest


def test_a_program_of_another_dialect_is_told_its_own_account(port: int) -> None:
    swarm = Swarm(port, policy=Policy(guests="none"))
    by_id = {spec.agent_id: spec for spec in swarm.plan.specs(swarm.state)}
    told = environment_of(with_account(msgspec.to_builtins(by_id["old"])))
    assert (told["MQTT_BROKER"], told["MQTT_USERNAME"]) == (swarm.url, "foreign.old@s")
    assert told["MQTT_PASSWORD"]
    ours = msgspec.to_builtins(by_id["worker"])
    assert with_account(ours) is ours


def test_where_the_broker_is_another_the_layouts_way_counts(tmp_path: Path) -> None:
    state = state_dir("s").create()
    store.make_secret(state, "home")
    there = Broker(url="mqtt://broker.example:1883", username="me")
    assert broker_of_swarm(there, state) is there
    assert broker_of_agent(there, str(state.root), "a") is there
