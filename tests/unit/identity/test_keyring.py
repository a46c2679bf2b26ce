"""Who may say what: every party against every judge."""

import itertools

import msgspec
import pytest

from swarm_tui.identity.keyring import AgentKeyring, HostKeyring, OperatorKeyring, SwarmKeyring
from swarm_tui.identity.keys import host_key, operator_key
from swarm_tui.identity.kinds import ACTS, ANSWERS, TO_ALL, VERDICTS
from swarm_tui.identity.registry import Identity, Registry, add, revoke, rotate
from swarm_tui.protocol.proof import split
from swarm_tui.protocol.raw import RefusedError
from swarm_tui.protocol.topics import Kind, topic

SECRET = b"s" * 32
SWARM = "opencto-dev"
RAW = b'{"id":"1","payload":{}}'


class World:
    """A swarm with its own host `home`, a joined host `helper`, an operator `ada`, and agents on both hosts."""

    def __init__(self, guests: str = "work") -> None:
        self.registry = add(Registry(home="home"), "helper", Identity(kind="host"))
        self.registry = add(self.registry, "ada", Identity(kind="operator"))
        self.swarm = SwarmKeyring(
            SECRET,
            lambda: self.registry,
            issuer="swarm",
            guests=guests,
            own=frozenset({"own-01", "far-01"}),
            clock=lambda: self.now,
        )
        home, helper = self.swarm.host("home"), self.swarm.host("helper")
        assert home is not None
        assert helper is not None
        self.home, self.helper = home, helper
        self.own, self.far = home.agent("own-01"), helper.agent("far-01")
        self.operator = OperatorKeyring("ada", operator_key(SECRET, "ada", 1))
        # The far agent's host is known once it has spoken.
        self.say(self.far, Kind.STATUS, "far-01")
        self.judge(self.swarm, Kind.STATUS, "far-01", self.said, "far-01")

    said = b""
    now = 100.0

    def say(self, party: object, kind: Kind, key: str = "") -> bytes:
        self.said = RAW if party is None else party.prove(kind, key, topic(SWARM, kind, key), RAW)  # type: ignore[attr-defined]
        return self.said

    def judge(self, judge: object, kind: Kind, key: str, raw: bytes, agent_id: str = "") -> str | None:
        """The issuer, or None when it was refused."""
        try:
            return judge.judge(kind, key, topic(SWARM, kind, key), split(raw), agent_id)  # type: ignore[attr-defined, no-any-return]
        except RefusedError:
            return None


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize("agent", ["own-01", "far-01"])
def test_only_the_swarm_and_its_own_host_order_an_agent(world: World, agent: str) -> None:
    judge, host = (world.own, world.home) if agent == "own-01" else (world.far, world.helper)
    stranger = world.helper if host is world.home else world.home
    may = {"swarm": world.swarm, "host": host}
    may_not = {"guest": None, "other host": stranger, "operator": world.operator, "itself": judge}
    for who, party in may.items():
        assert world.judge(judge, Kind.INBOX, agent, world.say(party, Kind.INBOX, agent)), who
    for who, party in may_not.items():
        assert world.judge(judge, Kind.INBOX, agent, world.say(party, Kind.INBOX, agent)) is None, who


@pytest.mark.parametrize("agent", ["own-01", "far-01"])
def test_who_comes_late_knows_an_order_to_an_agent_that_it_has_not_heard_of(world: World, agent: str) -> None:
    late = SwarmKeyring(SECRET, lambda: world.registry, issuer="operator:ada@home")
    assert world.judge(late, Kind.INBOX, agent, world.say(world.swarm, Kind.INBOX, agent)) == "swarm"
    for party in (None, world.own, world.far, world.operator):
        assert world.judge(late, Kind.INBOX, agent, world.say(party, Kind.INBOX, agent)) is None


@pytest.mark.parametrize("kind", sorted(TO_ALL))
def test_orders_to_all_reach_each_host_and_come_from_the_swarm_alone(world: World, kind: Kind) -> None:
    raw = world.say(world.swarm, kind)
    for judge in (world.own, world.far, world.home, world.helper):
        assert world.judge(judge, kind, "", raw) == "swarm"
    for party in (None, world.own, world.far, world.helper, world.operator):
        for judge in (world.own, world.home):
            assert world.judge(judge, kind, "", world.say(party, kind)) is None


def test_a_host_is_controlled_by_the_swarm_alone(world: World) -> None:
    assert world.judge(world.helper, Kind.HOST_CONTROL, "helper", world.say(world.swarm, Kind.HOST_CONTROL, "helper"))
    for party in (None, world.home, world.helper, world.own, world.operator):
        said = world.say(party, Kind.HOST_CONTROL, "helper")
        assert world.judge(world.helper, Kind.HOST_CONTROL, "helper", said) is None


@pytest.mark.parametrize("kind", sorted(ACTS))
def test_acts_are_for_people_and_the_swarm(world: World, kind: Kind) -> None:
    assert world.judge(world.swarm, kind, "", world.say(world.swarm, kind)) == "swarm"
    assert world.judge(world.swarm, kind, "", world.say(world.operator, kind)) == "operator:ada"
    for party in (None, world.own, world.far, world.home, world.helper):
        assert world.judge(world.swarm, kind, "", world.say(party, kind)) is None


@pytest.mark.parametrize("kind", sorted(ANSWERS))
def test_an_agent_answers_for_itself_alone(world: World, kind: Kind) -> None:
    assert world.judge(world.swarm, kind, "own-01", world.say(world.own, kind, "own-01"), "own-01")
    for party, speaks_for in itertools.product((world.own, None, world.helper, world.operator), ("far-01",)):
        said = world.say(party, kind, speaks_for)
        assert world.judge(world.swarm, kind, speaks_for, said, speaks_for) is None
    # A guest speaks for a name that nobody has.
    assert world.judge(world.swarm, kind, "guest-1", world.say(None, kind, "guest-1"), "guest-1") == ""


def test_a_host_takes_no_name_of_an_agent_that_lives_elsewhere(world: World) -> None:
    thief = world.helper.agent("own-01")
    assert world.judge(world.swarm, Kind.STATUS, "own-01", world.say(world.own, Kind.STATUS, "own-01"), "own-01")
    stolen = world.say(thief, Kind.TASK_COMPLETE)
    assert world.judge(world.swarm, Kind.TASK_COMPLETE, "", stolen, "own-01") is None
    order = world.say(world.swarm, Kind.INBOX, "own-01")
    assert world.judge(world.own, Kind.INBOX, "own-01", order)
    # Another host takes it over once it was silent for long; its own host has it back at once.
    world.now += 36.0
    assert world.judge(world.swarm, Kind.STATUS, "own-01", world.say(thief, Kind.STATUS, "own-01"), "own-01")
    assert world.judge(world.swarm, Kind.STATUS, "own-01", world.say(world.own, Kind.STATUS, "own-01"), "own-01")
    stolen = world.say(thief, Kind.TASK_COMPLETE)
    assert world.judge(world.swarm, Kind.TASK_COMPLETE, "", stolen, "own-01") is None


def test_who_sits_at_the_swarms_own_host_may_have_an_added_operators_name(world: World) -> None:
    here = SwarmKeyring(SECRET, lambda: world.registry, issuer="operator:ada@home")
    assert world.judge(world.swarm, Kind.HALT, "", world.say(here, Kind.HALT)) == "operator:ada@home"


def test_nobody_speaks_to_a_host_for_its_own_agents_without_their_keys(world: World) -> None:
    own = HostKeyring("helper", host_key(SECRET, "helper", 1), frozenset({"far-01"}))
    assert world.judge(own, Kind.HEARTBEAT, "", world.say(world.far, Kind.HEARTBEAT), "far-01")
    for party in (None, world.own, world.operator, world.helper):
        assert world.judge(own, Kind.HEARTBEAT, "", world.say(party, Kind.HEARTBEAT), "far-01") is None
    assert world.judge(own, Kind.HEARTBEAT, "", world.say(None, Kind.HEARTBEAT), "guest-1") == ""


def test_an_agent_believes_nobody_else_about_itself(world: World) -> None:
    assert world.judge(world.own, Kind.STATUS, "own-01", world.say(world.own, Kind.STATUS, "own-01"), "own-01")
    for party in (None, world.far, world.helper, world.operator):
        assert world.judge(world.own, Kind.STATUS, "own-01", world.say(party, Kind.STATUS, "own-01"), "own-01") is None


def test_who_ran_before_there_were_keys_is_believed_until_it_has_its_own(world: World) -> None:
    world.registry = msgspec.structs.replace(world.registry, former=("own-01",))
    here = SwarmKeyring(SECRET, lambda: world.registry, issuer="swarm", guests="none", own=frozenset({"own-01"}))
    for kind in (Kind.STATUS, Kind.TASK_COMPLETE, Kind.TASK_ASSIGNED):
        assert world.judge(here, kind, "own-01", world.say(None, kind, "own-01"), "own-01") == "former:own-01"
    assert world.judge(here, Kind.STATUS, "other", world.say(None, Kind.STATUS, "other"), "other") is None
    assert world.judge(here, Kind.TASK_APPROVE, "", world.say(None, Kind.TASK_APPROVE)) is None
    assert world.judge(here, Kind.STATUS, "own-01", world.say(world.own, Kind.STATUS, "own-01"), "own-01")
    assert world.judge(here, Kind.STATUS, "own-01", world.say(None, Kind.STATUS, "own-01"), "own-01") is None


@pytest.mark.parametrize("kind", sorted(VERDICTS))
def test_what_the_dispatcher_says_of_a_task_is_believed_of_it_alone(world: World, kind: Kind) -> None:
    assert world.judge(world.swarm, kind, "", world.say(world.swarm, kind)) == "swarm"
    for party in (None, world.own, world.far, world.helper, world.operator):
        assert world.judge(world.swarm, kind, "", world.say(party, kind)) is None


def test_only_who_has_a_key_replies(world: World) -> None:
    for party in (world.swarm, world.own, world.helper):
        assert world.judge(world.swarm, Kind.REPLY, "c", world.say(party, Kind.REPLY, "c"))
    assert world.judge(world.swarm, Kind.REPLY, "c", world.say(None, Kind.REPLY, "c")) is None


def test_an_order_cannot_be_sent_on_to_another(world: World) -> None:
    raw = world.say(world.swarm, Kind.INBOX, "own-01")
    assert world.judge(world.far, Kind.INBOX, "far-01", raw) is None
    # Nor to its own reader as another message.
    assert world.judge(world.own, Kind.HALT, "", raw) is None


def test_who_is_revoked_or_rotated_is_nobody(world: World) -> None:
    said = world.say(world.operator, Kind.HALT)
    world.registry = rotate(world.registry, "ada")
    assert world.judge(world.swarm, Kind.HALT, "", said) is None
    anew = OperatorKeyring("ada", operator_key(SECRET, "ada", 2))
    assert world.judge(world.swarm, Kind.HALT, "", world.say(anew, Kind.HALT)) == "operator:ada"
    world.registry = revoke(world.registry, "ada", 5.0)
    assert world.judge(world.swarm, Kind.HALT, "", world.say(anew, Kind.HALT)) is None
    world.registry = revoke(world.registry, "helper", 5.0)
    assert (
        world.judge(world.swarm, Kind.STATUS, "far-01", world.say(world.far, Kind.STATUS, "far-01"), "far-01") is None
    )
    orders = world.say(world.swarm, Kind.HALT)
    assert world.judge(world.far, Kind.HALT, "", orders) is None
    assert world.judge(world.own, Kind.HALT, "", orders) == "swarm"


def test_a_revoked_name_that_is_added_again_has_another_key(world: World) -> None:
    world.registry = add(revoke(world.registry, "helper", 5.0), "helper", Identity(kind="host"))
    assert world.registry.hosts() == {"home": 1, "helper": 2}
    assert host_key(SECRET, "helper", 1) != host_key(SECRET, "helper", 2)


@pytest.mark.parametrize(("guests", "task", "answer"), [("none", None, None), ("publish", "", None), ("work", "", "")])
def test_guests_do_what_the_policy_says(guests: str, task: str | None, answer: str | None) -> None:
    world = World(guests)
    assert world.judge(world.swarm, Kind.TASK_NEW, "", world.say(None, Kind.TASK_NEW)) == task
    assert world.judge(world.swarm, Kind.TASK_COMPLETE, "", world.say(None, Kind.TASK_COMPLETE), "guest-1") == answer
    for kind in (Kind.DEPLOYMENT_REQUEST, Kind.CODE_REVIEW, Kind.QUERY):
        assert world.judge(world.swarm, kind, "", world.say(None, kind)) == (None if guests == "none" else ""), kind
    for party in (world.swarm, world.own, world.helper, world.operator):
        assert world.judge(world.swarm, Kind.TASK_NEW, "", world.say(party, Kind.TASK_NEW)), "it has a key"


def test_a_proof_that_does_not_hold_is_worse_than_none(world: World) -> None:
    forger = AgentKeyring("own-01", "home", b"x" * 32, b"x" * 32)
    assert world.judge(world.swarm, Kind.TASK_NEW, "", world.say(forger, Kind.TASK_NEW)) is None
