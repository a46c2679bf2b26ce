"""What a stranger on the bus forges: orders, answers, claims, and words to publishers."""

import json
import os
import time
from collections.abc import Callable

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic
from tests.attacks.swarm import MANAGER, SWARM, WORKER, Attack, Swarm, Work
from tests.wait import until


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


def claim(swarm: Swarm) -> Callable[[], object]:
    """A claim of a task that was offered to nobody, and its result."""
    swarm.operator.submit(b.Task(task_id="good", type="work", payload={}, assigned_to="away-01"))
    swarm.wait(Kind.TASK_QUEUED, task_id="good")
    swarm.forge(Kind.TASK_ASSIGNED, b.Assigned(task_id="good", agent_id="mallory"), sender="mallory")
    swarm.forge(Kind.TASK_COMPLETE, b.Complete(task_id="good", agent_id="mallory", result="evil"), sender="mallory")
    return lambda: (job := swarm.job("good")) is not None and (job["agent_id"] or job["result"])


def result_beforehand(swarm: Swarm) -> Callable[[], object]:
    """A result of a task that nobody has published yet."""
    swarm.forge(Kind.TASK_COMPLETE, b.Complete(task_id="later", agent_id="mallory", result="evil"), sender="mallory")
    swarm.job("later")
    swarm.publish("later")
    swarm.wait(Kind.TASK_QUEUED, task_id="later")
    return lambda: (job := swarm.job("later")) is not None and job["result"] == "evil"


def guests_share(swarm: Swarm) -> Callable[[], object]:
    """A guest that waits for what a person approves, and would say that it was done."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    born = b.Status(status="online", role="general", incarnation="evil", capabilities=["careful"], capacity=9)
    swarm.forge(Kind.STATUS, born, "mallory", sender="mallory")
    swarm.publish("risky", "careful")
    held = swarm.wait(Kind.TASK_HELD, task_id="risky").payload["payload_hash"]
    swarm.operator.act(Kind.TASK_APPROVE, b.TaskAct(task_id="risky", payload_hash=held))
    return lambda: swarm.of(Kind.INBOX, task_id="risky") and swarm.of(Kind.TASK_ASSIGNED, agent_id="mallory")


def no_scale(swarm: Swarm) -> Callable[[], object]:
    """A person's number of agents, cleared by an empty message."""
    swarm.pin(7)
    swarm.send(topic(SWARM, Kind.SCALE, "general"), b"", retain=True)
    return lambda: swarm.pinned() == 0


def reply(swarm: Swarm) -> Callable[[], object]:
    """An answer to an operator's question, in the dispatcher's name."""
    said: list[str] = []

    def answer(full: str, raw: bytes, retained: bool) -> None:
        event = decode(SWARM, full, raw, retained, time.time())
        if isinstance(event, Event) and isinstance(event.body, b.Query):
            rows = [{"task_id": "first", "state": "evil"}]
            body = b.Reply(query="task", rows=rows, request=event.id, source="another")
            swarm.forge(Kind.REPLY, body, event.key, sender=MANAGER)

    ears = swarm.connect("ears", answer)
    ears.subscribe(topic(SWARM, Kind.QUERY, "+"))
    replies = swarm.operator.query_all("task", {"task_id": "first"}, 0.3)
    said += [row["state"] for each in replies for row in each.rows]
    return lambda: "evil" in said


def rejected(swarm: Swarm) -> Callable[[], object]:
    """The word that a task was rejected, said to its publisher while the dispatcher was away."""
    swarm.manager.close()
    told: list[str] = []
    # For somebody who is not there: without a dispatcher the worker might claim it first.
    sent = swarm.operator.submit(b.Task(task_id="good", type="work", payload={}, assigned_to="away"))
    sent.on_change(lambda _: told.append(sent.reason))
    swarm.wait(Kind.TASK_NEW, task_id="good")
    swarm.forge(Kind.TASK_REJECTED, b.TaskRejected(task_id="good", reason="evil"), sender=MANAGER)
    swarm.pump.drain()
    swarm.lead()
    return lambda: "evil" in told


def said_assigned(swarm: Swarm) -> Callable[[], object]:
    """The word that a task has an agent, said to its publisher while the dispatcher is away: he repeats it no more."""
    swarm.manager.close()
    sent = swarm.operator.submit(b.Task(task_id="good", type="work", payload={}, assigned_to="away-01"))
    swarm.wait(Kind.TASK_NEW, task_id="good")
    forged = b.Assigned(task_id="good", agent_id=WORKER, attempt=1, epoch=1)
    swarm.forge(Kind.TASK_ASSIGNED, forged, sender=MANAGER)
    swarm.pump.drain()
    was_believed = sent.accepted
    swarm.lead()
    return lambda: was_believed


def broadcast(swarm: Swarm) -> Callable[[], object]:
    """A text for all, as if a person had said it."""
    swarm.forge(Kind.BROADCAST, b.Broadcast(text="evil"), sender="operator:ada@home")
    return lambda: swarm.seen.counts.kinds.get(Kind.BROADCAST)


ATTACKS: list[Attack] = [
    offer,
    offer_under_a_copied_proof,
    offer_with_members_behind_its_proof,
    drain,
    cancel,
    approve,
    deny,
    halt,
    lift,
    lead,
    no_leader,
    away,
    complete,
    fail,
    gone,
    crashed,
    claim,
    result_beforehand,
    guests_share,
    no_scale,
    reply,
    rejected,
    said_assigned,
    broadcast,
]
