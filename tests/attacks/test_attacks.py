"""Each attack works where its own guards are removed, and does nothing where one of them is not."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.domain.dispatch import retained_topics
from swarm_tui.domain.worker import worker_state
from swarm_tui.identity.keyring import HostKeyring
from swarm_tui.identity.keys import host_key
from swarm_tui.identity.registry import Identity, add
from swarm_tui.identity.store import read_registry, read_secret, write_registry
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic
from tests.attacks import forged, insiders, planted, repeated, shown
from tests.attacks import swarm as parts
from tests.attacks.guards import GUARDS, MENDED_BY, STOPPED_BY
from tests.attacks.swarm import MANAGER, SWARM, WORKER, Attack, Swarm, Work
from tests.wait import until


@pytest.fixture(autouse=True)
def handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILTIN, "attacked", f"{parts.__name__}:Work")
    monkeypatch.setattr("swarm_tui.agent.runtime.STOP_WAIT", 0.05)
    monkeypatch.setattr("swarm_tui.agent.runtime.LEAVE_WAIT", 0.5)
    # As after a thousand others.
    monkeypatch.setattr(worker_state, "_SEEN", 0)
    for kind in retained_topics.GRACE:
        monkeypatch.setitem(retained_topics.GRACE, kind, 0.5)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[bool], Swarm]]:
    made: list[Swarm] = []

    def one(guarded: bool) -> Swarm:
        made.append(Swarm(tmp_path, guarded=guarded))
        return made[0]

    yield one
    for swarm in made:
        swarm.close()


ATTACKS = [*forged.ATTACKS, *shown.ATTACKS, *repeated.ATTACKS, *insiders.ATTACKS, *planted.ATTACKS]
#: After these a halt stands, as it should: nothing is done.
HALTED = (forged.lift, repeated.old_lift, planted.emptied)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_works_without_its_own_guards(
    make: Callable[[bool], Swarm], attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The swarm has all others: so this is what stops the attack, and nothing else does."""
    mended = [MENDED_BY[attack.__name__]] if attack.__name__ in MENDED_BY else []
    for guard in (*STOPPED_BY[attack.__name__], *mended):
        GUARDS[guard](monkeypatch)
    swarm = make(True)
    until(attack(swarm), what=f"{attack.__doc__}; {swarm.link.lines[-4:]}")


@pytest.mark.drill
@pytest.mark.parametrize(
    ("attack", "guard"),
    [
        pytest.param(attack, guard, id=f"{attack.__name__}, {guard}")
        for attack in ATTACKS
        if len(STOPPED_BY[attack.__name__]) > 1
        for guard in STOPPED_BY[attack.__name__]
    ],
)
def test_one_of_several_guards_is_enough(
    make: Callable[[bool], Swarm], attack: Attack, guard: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for other in STOPPED_BY[attack.__name__]:
        if other != guard:
            GUARDS[other](monkeypatch)
    stands(make(True), attack)


def test_each_guard_stops_an_attack() -> None:
    assert set(STOPPED_BY) == {attack.__name__ for attack in ATTACKS}
    assert {guard for several in STOPPED_BY.values() for guard in several} | {*MENDED_BY.values()} == set(GUARDS)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_does_nothing(make: Callable[[bool], Swarm], attack: Attack) -> None:
    stands(make(True), attack)


def stands(swarm: Swarm, attack: Attack) -> None:
    """The attack does nothing, and what is good goes on."""
    works = attack(swarm)
    swarm.pump.drain()
    if attack is repeated.old_life:
        # A new life of it is given what waits.
        works_now = works()
        swarm.work()
        assert not works_now
        swarm.done("given-to-nobody")
    elif attack not in HALTED:
        Work.let_go.set()
        # What is good goes on: it comes after the attack on every connection.
        swarm.operator.submit(b.Task(task_id="after", type="work", payload={}, assigned_to=WORKER))
        swarm.done("after")
    else:
        swarm.job("waits")
    assert attack is repeated.old_life or not works()


def test_a_host_that_is_added_believes_the_dispatcher_at_once(make: Callable[[bool], Swarm]) -> None:
    swarm = make(True)
    registry = read_registry(swarm.state)
    write_registry(swarm.state, add(registry, "late", Identity(kind="host")))
    secret = read_secret(swarm.state)
    assert secret is not None
    keys = HostKeyring("late", host_key(secret, "late", 1))

    def believes() -> bool:
        raw = swarm.retained(Kind.DISPATCHER)
        heard = decode(SWARM, topic(SWARM, Kind.DISPATCHER), raw, True, time.time(), keys.judge)
        return isinstance(heard, Event)

    assert not believes()
    until(believes, what="the claim to be proved to it")


def test_a_claim_in_a_workers_name_makes_nobody_stop_it(make: Callable[[bool], Swarm]) -> None:
    swarm = make(True)
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    for claimer in (WORKER, MANAGER):
        swarm.forge(Kind.TASK_ASSIGNED, b.Assigned(task_id="good", agent_id=claimer), sender="mallory")
    swarm.job("good")
    assert not [event for event in swarm.of(Kind.INBOX, task_id="good", command="cancel") if event.key == WORKER]
