"""Each attack works where the guard is removed, and does nothing where it is not."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.domain.leadership import Leadership
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind, topic
from tests.attacks import swarm as parts
from tests.attacks.swarm import MANAGER, SWARM, WORKER, Swarm, Work
from tests.wait import until

Attack = Callable[[Swarm], Callable[[], object]]


@pytest.fixture(autouse=True)
def handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILTIN, "attacked", f"{parts.__name__}:Work")
    monkeypatch.setattr("swarm_tui.agent.runtime.STOP_WAIT", 0.05)
    monkeypatch.setattr("swarm_tui.agent.runtime.LEAVE_WAIT", 0.5)


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[[bool], Swarm]]:
    made: list[Swarm] = []

    def one(guarded: bool) -> Swarm:
        made.append(Swarm(tmp_path, guarded=guarded))
        return made[0]

    yield one
    for swarm in made:
        swarm.close()


def offer(swarm: Swarm) -> Callable[[], object]:
    """A forged offer: the worker runs what nobody published."""
    task = b.Task(task_id="evil", type="work", payload={})
    swarm.forge(Kind.INBOX, b.Inbox(task_id="evil", attempt=1, epoch=1, lease=30.0, task=task), WORKER, sender=MANAGER)
    return lambda: "evil" in Work.ran


def offer_under_a_copied_proof(swarm: Swarm) -> Callable[[], object]:
    """An offer that was heard, sent again with another task in it."""
    full, raw = next((f, r) for f, r in swarm.raw if f == topic(SWARM, Kind.INBOX, WORKER) and b'"first"' in r)
    swarm.send(full, raw.replace(b'"first"', b'"evil1"'))
    return lambda: "evil1" in Work.ran


def offer_with_members_behind_its_proof(swarm: Swarm) -> Callable[[], object]:
    """An offer that was heard, with another payload behind what its proof covers: the last of two members is read."""
    full, raw = next((f, r) for f, r in swarm.raw if f == topic(SWARM, Kind.INBOX, WORKER) and b'"first"' in r)
    payload = json.loads(raw)["payload"] | {"task_id": "evil2", "task": {"task_id": "evil2", "type": "work"}}
    more = b'"payload":' + json.dumps(payload, separators=(",", ":")).encode()
    proved = raw[:-2] + b' ",' + more + b',"x":"y=' + b"A" * 22 + b'"}'
    swarm.send(full, proved if swarm.guarded else raw[:-1] + b"," + more + b"}")
    return lambda: "evil2" in Work.ran


def drain(swarm: Swarm) -> Callable[[], object]:
    """A forged order to take no more."""
    swarm.forge(Kind.INBOX, b.Inbox(command="drain"), WORKER)
    return lambda: swarm.worker.work.core.draining


def cancel(swarm: Swarm) -> Callable[[], object]:
    """A forged cancel of a running task."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    swarm.forge(Kind.TASK_CANCEL, b.TaskAct(task_id="good"))
    return lambda: swarm.of(Kind.INBOX, task_id="good", command="cancel")


def approve(swarm: Swarm) -> Callable[[], object]:
    """A forged approval, with the right hash of the payload."""
    swarm.publish("risky", "careful")
    held = swarm.wait(Kind.TASK_HELD, task_id="risky")
    swarm.forge(Kind.TASK_APPROVE, b.TaskAct(task_id="risky", payload_hash=held.payload["payload_hash"]))
    return lambda: "risky" in Work.ran


def deny(swarm: Swarm) -> Callable[[], object]:
    """A forged refusal."""
    swarm.publish("risky", "careful")
    swarm.wait(Kind.TASK_HELD, task_id="risky")
    swarm.forge(Kind.TASK_DENY, b.TaskAct(task_id="risky"))
    return lambda: swarm.of(Kind.TASK_CANCELLED, task_id="risky")


def halt(swarm: Swarm) -> Callable[[], object]:
    """A forged halt."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    swarm.forge(Kind.HALT, b.Halt(reason="evil"))
    return lambda: swarm.of(Kind.INBOX, task_id="good", command="cancel")


def lift(swarm: Swarm) -> Callable[[], object]:
    """A halt lifted by an empty message."""
    swarm.operator.act(Kind.HALT, b.Halt(reason="bad release"))
    until(lambda: any("bad release" in line for line in swarm.link.lines), what="the halt")
    swarm.publish("waits")
    swarm.wait(Kind.TASK_QUEUED, task_id="waits")
    swarm.send(topic(SWARM, Kind.HALT), b"", retain=True)
    return lambda: "waits" in Work.ran


def lead(swarm: Swarm) -> Callable[[], object]:
    """A claim to lead, of a newer epoch."""
    swarm.forge(Kind.DISPATCHER, b.Dispatcher(instance="evil/1", epoch=1000, online=True), sender="evil")
    return lambda: swarm.link.left


def no_leader(swarm: Swarm) -> Callable[[], object]:
    """The retained claim emptied: agents work without a dispatcher, and without approval."""
    swarm.send(topic(SWARM, Kind.DISPATCHER), b"", retain=True)
    for _ in range(3):
        # What the worker does about it is said by itself.
        swarm.pump.drain()
    swarm.forge(Kind.TASK_NEW, b.Task(task_id="risky", type="careful", payload={}))
    return lambda: "risky" in Work.ran


def away(swarm: Swarm) -> Callable[[], object]:
    """The dispatcher said to be away: agents keep their results to themselves."""
    swarm.forge(Kind.DISPATCHER, b.Dispatcher(instance="home/1", epoch=1, online=False), sender="evil")
    return lambda: swarm.worker.work.core.leader.value == "away"


def complete(swarm: Swarm) -> Callable[[], object]:
    """A forged result of a running task."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    forged = b.Complete(task_id="good", agent_id=WORKER, attempt=1, epoch=1, result={"by": "mallory"})
    swarm.forge(Kind.TASK_COMPLETE, forged, sender=WORKER)
    return lambda: (job := swarm.job("good")) is not None and job.get("result") == {"by": "mallory"}


def fail(swarm: Swarm) -> Callable[[], object]:
    """A forged failure of a running task."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    error = b.ErrorInfo(message="evil", retryable=False)
    forged = b.Failed(task_id="good", agent_id=WORKER, attempt=1, epoch=1, error=error, retryable=False)
    swarm.forge(Kind.TASK_FAILED, forged, sender=WORKER)
    return lambda: (job := swarm.job("good")) is not None and job["state"] == "failed"


def gone(swarm: Swarm) -> Callable[[], object]:
    """A forged birth of another worker of that name: its task is given away a second time."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    born = b.Status(status="online", role="general", incarnation="evil", capabilities=["work"], capacity=1)
    swarm.forge(Kind.STATUS, born, WORKER, sender=WORKER)
    return lambda: swarm.of(Kind.TASK_RETRYING, task_id="good") or swarm.of(Kind.INBOX, task_id="good", attempt=2)


def crashed(swarm: Swarm) -> Callable[[], object]:
    """A host's forged word that the worker's process has ended."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    own = swarm.worker.me.incarnation
    pane = b.PaneStatus(agent_id=WORKER, role="general", pid=os.getpid(), state="online", incarnation=own)
    swarm.forge(Kind.HOST_STATUS, b.HostStatus(status="online", panes=[pane]), "home")
    pane = b.PaneStatus(agent_id=WORKER, role="general", pid=None, state="backoff", incarnation=own, exit_status=1)
    swarm.forge(Kind.HOST_STATUS, b.HostStatus(status="online", panes=[pane]), "home")
    return lambda: swarm.of(Kind.TASK_RETRYING, task_id="good") or swarm.of(Kind.INBOX, task_id="good", attempt=2)


ATTACKS = [
    offer, offer_under_a_copied_proof, offer_with_members_behind_its_proof, drain, cancel, approve, deny, halt, lift,
    lead, no_leader, away, complete, fail, gone, crashed,
]  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_works_without_the_guard(
    make: Callable[[bool], Swarm], attack: Attack, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A claim that is emptied or overwritten is said again, which alone ends two of the attacks within milliseconds.
    monkeypatch.setattr(Leadership, "contested", lambda self, now: [])
    swarm = make(False)
    until(attack(swarm), what=f"{attack.__doc__}; {swarm.link.lines[-4:]}")


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
def test_an_attack_does_nothing(make: Callable[[bool], Swarm], attack: Attack) -> None:
    swarm = make(True)
    works = attack(swarm)
    swarm.pump.drain()
    if attack is not lift:
        Work.let_go.set()
        # What is good goes on: it comes after the attack on every connection.
        swarm.done(swarm.publish("after"))
    else:
        swarm.job("waits")
    assert not works()
