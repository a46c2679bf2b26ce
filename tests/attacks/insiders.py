"""What joined hosts, agents and operators elsewhere say with keys of their own, beyond what is theirs."""

import os
from collections.abc import Callable

from swarm_tui.identity.keyring import GUEST, HostKeyring, Keyring
from swarm_tui.identity.open import open_agent
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from tests.attacks.swarm import WORKER, Attack, Swarm, Work


def anothers_pane(swarm: Swarm) -> Callable[[], object]:
    """The word of a host that was brought in, with its own proof, that the swarm's own worker has ended."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    swarm.host_says(swarm.joined, "helper", os.getpid())
    swarm.host_says(swarm.joined, "helper", None)
    return lambda: swarm.of(Kind.TASK_RETRYING, task_id="good") or swarm.of(Kind.INBOX, task_id="good", attempt=2)


def anothers_name(swarm: Swarm) -> Callable[[], object]:
    """The result of the swarm's own worker, said by a host that was brought in: it has a key for that name."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    keys = swarm.joined.agent(WORKER) if isinstance(swarm.joined, HostKeyring) else GUEST
    forged = b.Complete(task_id="good", agent_id=WORKER, attempt=1, epoch=1, result="evil")
    swarm.signed(keys, Kind.TASK_COMPLETE, forged, sender=WORKER)
    return lambda: (job := swarm.job("good")) is not None and job.get("result") == "evil"


def neighbours_name(swarm: Swarm) -> Callable[[], object]:
    """The result of the swarm's own worker, said by another agent of its host, by that one's own key."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    keys = open_agent(swarm.root, "worker-02") if swarm.guarded else GUEST
    forged = b.Complete(task_id="good", agent_id=WORKER, attempt=1, epoch=1, result="evil")
    swarm.signed(keys, Kind.TASK_COMPLETE, forged, sender=WORKER)
    return lambda: (job := swarm.job("good")) is not None and job.get("result") == "evil"


def approved_by(swarm: Swarm, keys: Keyring) -> Callable[[], object]:
    swarm.publish("risky", "careful")
    held = swarm.wait(Kind.TASK_HELD, task_id="risky")
    yes = b.TaskAct(task_id="risky", payload_hash=held.payload["payload_hash"])
    swarm.signed(keys, Kind.TASK_APPROVE, yes, sender="operator:ada@home")
    return lambda: "risky" in Work.ran


def agents_approval(swarm: Swarm) -> Callable[[], object]:
    """An approval by an agent, with its own key, in a person's name."""
    return approved_by(swarm, swarm.worker_keys())


def hosts_approval(swarm: Swarm) -> Callable[[], object]:
    """An approval by a host that was brought in, with its own key."""
    return approved_by(swarm, swarm.joined)


def halted_by(swarm: Swarm, keys: Keyring) -> Callable[[], object]:
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    swarm.signed(keys, Kind.HALT, b.Halt(reason="evil"), sender="operator:ada@home")
    return lambda: swarm.of(Kind.INBOX, task_id="good", command="cancel")


def agents_halt(swarm: Swarm) -> Callable[[], object]:
    """A halt by an agent, with its own key."""
    return halted_by(swarm, swarm.worker_keys())


def hosts_halt(swarm: Swarm) -> Callable[[], object]:
    """A halt by a host that was brought in."""
    return halted_by(swarm, swarm.joined)


def led_by(swarm: Swarm, keys: Keyring) -> Callable[[], object]:
    swarm.signed(keys, Kind.DISPATCHER, b.Dispatcher(instance="evil/1", epoch=1000, online=True))
    return lambda: swarm.link.left


def agent_leads(swarm: Swarm) -> Callable[[], object]:
    """A claim to lead by an agent, with its own key."""
    return led_by(swarm, swarm.worker_keys())


def host_leads(swarm: Swarm) -> Callable[[], object]:
    """A claim to lead by a host that was brought in."""
    return led_by(swarm, swarm.joined)


def person_leads(swarm: Swarm) -> Callable[[], object]:
    """A claim to lead by an operator elsewhere, with a key of that person's own."""
    return led_by(swarm, swarm.person)


def persons_offer(swarm: Swarm) -> Callable[[], object]:
    """An offer by an operator elsewhere, past the dispatcher."""
    task = b.Task(task_id="evil", type="work", payload={})
    body = b.Inbox(task_id="evil", attempt=1, epoch=1, lease=30.0, task=task)
    swarm.signed(swarm.person, Kind.INBOX, body, WORKER)
    return lambda: "evil" in Work.ran


def hosts_offer(swarm: Swarm) -> Callable[[], object]:
    """An offer by a host that was brought in, to an agent of the swarm's own."""
    task = b.Task(task_id="evil", type="work", payload={})
    body = b.Inbox(task_id="evil", attempt=1, epoch=1, lease=30.0, task=task)
    swarm.signed(swarm.joined, Kind.INBOX, body, WORKER)
    return lambda: "evil" in Work.ran


ATTACKS: list[Attack] = [
    anothers_pane,
    anothers_name,
    neighbours_name,
    agents_approval,
    hosts_approval,
    agents_halt,
    hosts_halt,
    agent_leads,
    host_leads,
    person_leads,
    persons_offer,
    hosts_offer,
]
