"""Each attack works where its own guards are removed, and does nothing where one of them is not."""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.domain.worker import worker_state
from swarm_tui.identity.keyring import GUEST, HostKeyring, Keyring
from swarm_tui.identity.keys import host_key
from swarm_tui.identity.open import open_agent, open_host
from swarm_tui.identity.registry import Identity, add
from swarm_tui.identity.store import read_registry, read_secret, write_registry
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.ask_bodies import Ask
from swarm_tui.protocol.codec import decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic
from tests.attacks import swarm as parts
from tests.attacks.guards import GUARDS, MENDED_BY, STOPPED_BY
from tests.attacks.swarm import MANAGER, SWARM, WORKER, Swarm, Work
from tests.wait import until

Attack = Callable[[Swarm], Callable[[], object]]


@pytest.fixture(autouse=True)
def handler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.BUILTIN, "attacked", f"{parts.__name__}:Work")
    monkeypatch.setattr("swarm_tui.agent.runtime.STOP_WAIT", 0.05)
    monkeypatch.setattr("swarm_tui.agent.runtime.LEAVE_WAIT", 0.5)
    # As after a thousand others.
    monkeypatch.setattr(worker_state, "_SEEN", 0)


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


def halted_and_lifted(swarm: Swarm, reason: str) -> None:
    swarm.operator.act(Kind.HALT, b.Halt(reason=reason))
    until(lambda: any(f": {reason}" in line for line in swarm.link.lines), what="the halt")
    swarm.operator.clear(Kind.HALT)
    until(lambda: any("is lifted" in line for line in swarm.link.lines), what="it to be lifted")


def old_halt(swarm: Swarm) -> Callable[[], object]:
    """A halt that was lifted, said again by somebody who heard it."""
    halted_and_lifted(swarm, "bad release")
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    swarm.send(*swarm.heard_raw(Kind.HALT, holds="bad release"), retain=True)
    return lambda: swarm.of(Kind.INBOX, task_id="good", command="cancel")


def old_lift(swarm: Swarm) -> Callable[[], object]:
    """The end of an earlier halt, said again while another stands."""
    halted_and_lifted(swarm, "bad release")
    swarm.operator.act(Kind.HALT, b.Halt(reason="worse release"))
    until(lambda: any("worse release" in line for line in swarm.link.lines), what="the halt")
    swarm.publish("waits")
    swarm.wait(Kind.TASK_QUEUED, task_id="waits")
    swarm.send(*swarm.heard_raw(Kind.HALT, holds='"lifted":true'), retain=True)
    return lambda: "waits" in Work.ran


def old_cancel(swarm: Swarm) -> Callable[[], object]:
    """A cancel that was carried out, said again to the next dispatcher, of a task that a person had run again."""
    swarm.operator.submit(b.Task(task_id="good", type="work", payload={}, assigned_to="away-01"))
    swarm.wait(Kind.TASK_QUEUED, task_id="good")
    swarm.operator.act(Kind.TASK_CANCEL, b.TaskAct(task_id="good"))
    swarm.wait(Kind.TASK_CANCELLED, task_id="good")
    swarm.lead_again()
    swarm.operator.act(Kind.TASK_REDRIVE, b.TaskAct(task_id="good"))
    until(lambda: (job := swarm.job("good")) and job["state"] == "queued", what="it to be queued again")
    swarm.send(*swarm.heard_raw(Kind.TASK_CANCEL, holds='"good"'))
    return lambda: len(swarm.of(Kind.TASK_CANCELLED, task_id="good")) > 1


def old_offer(swarm: Swarm) -> Callable[[], object]:
    """An offer of a task that is done, said again once its worker had a thousand others."""
    swarm.done(swarm.publish("second"))
    swarm.send(*swarm.heard_raw(Kind.INBOX, WORKER, '"task_id":"first"'))
    return lambda: Work.ran.count("first") > 1


def old_birth(swarm: Swarm) -> Callable[[], object]:
    """The birth of a worker's former life, said again: what it does now is given away a second time."""
    full, raw = swarm.heard_raw(Kind.STATUS, WORKER, '"online"')
    swarm.work_again()
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    swarm.send(full, raw)
    return lambda: swarm.of(Kind.TASK_RETRYING, task_id="good") or swarm.of(Kind.INBOX, task_id="good", attempt=2)


def host_says(swarm: Swarm, keys: Keyring, host: str, pid: int | None) -> bytes:
    own = swarm.worker.me.incarnation
    pane = b.PaneStatus(agent_id=WORKER, role="general", pid=pid, state="online", incarnation=own, exit_status=1)
    swarm.signed(keys, Kind.HOST_STATUS, b.HostStatus(status="online", panes=[pane]), host)
    return swarm.heard_raw(Kind.HOST_STATUS, host, f'"pid":{pid}' if pid else '"exit_status":1')[1]


def old_panes(swarm: Swarm) -> Callable[[], object]:
    """A supervisor's word of before the worker's process, said again: that process seems to have ended."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    keys = open_host(swarm.state) if swarm.guarded else GUEST
    old = host_says(swarm, keys, "home", 1)
    time.sleep(0.002)
    host_says(swarm, keys, "home", os.getpid())
    swarm.send(topic(SWARM, Kind.HOST_STATUS, "home"), old, retain=True)
    return lambda: swarm.of(Kind.TASK_RETRYING, task_id="good") or swarm.of(Kind.INBOX, task_id="good", attempt=2)


def anothers_pane(swarm: Swarm) -> Callable[[], object]:
    """The word of a host that was brought in, with its own proof, that the swarm's own worker has ended."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    host_says(swarm, swarm.joined, "helper", os.getpid())
    host_says(swarm, swarm.joined, "helper", None)
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


def pinned(swarm: Swarm, desired: int) -> None:
    swarm.operator.act(Kind.SCALE, b.Scale(desired=desired), "general")
    until(lambda: _wished(swarm) == desired, what="the wish to be heard")


def _wished(swarm: Swarm) -> int:
    assert swarm.manager.shell is not None
    targets = swarm.manager.shell.engine.state.targets
    return targets["general"].desired if "general" in targets and targets["general"].pinned else 0


def old_scale(swarm: Swarm) -> Callable[[], object]:
    """A person's former number of agents, said again."""
    pinned(swarm, 7)
    time.sleep(0.002)
    pinned(swarm, 2)
    swarm.send(*swarm.heard_raw(Kind.SCALE, "general", '"desired":7'), retain=True)
    return lambda: _wished(swarm) == 7


def no_scale(swarm: Swarm) -> Callable[[], object]:
    """A person's number of agents, cleared by an empty message."""
    pinned(swarm, 7)
    swarm.send(topic(SWARM, Kind.SCALE, "general"), b"", retain=True)
    return lambda: _wished(swarm) == 0


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


def waiting(swarm: Swarm) -> str:
    """A task that nobody can be given, as the screen knows it too."""
    swarm.operator.submit(b.Task(task_id="good", type="work", payload={}, assigned_to="away-01"))
    swarm.wait(Kind.TASK_QUEUED, task_id="good")
    until(lambda: "good" in swarm.seen.tasks, what="the screen to know it")
    return "good"


def shown_assigned(swarm: Swarm) -> Callable[[], object]:
    """The dispatcher's word that a task is in somebody's hands, for the screen."""
    task_id = waiting(swarm)
    forged = b.Assigned(task_id=task_id, agent_id=WORKER, attempt=1, epoch=1)
    swarm.forge(Kind.TASK_ASSIGNED, forged, sender=MANAGER)
    return lambda: swarm.seen.tasks[task_id].state == "assigned"


def shown_claim(swarm: Swarm) -> Callable[[], object]:
    """A stranger's claim, for the screen, of a task that has been heard of by nobody else."""
    swarm.forge(Kind.TASK_ASSIGNED, b.Assigned(task_id="ghost", agent_id="mallory"), sender="mallory")
    return lambda: "ghost" in swarm.seen.tasks


def shown_result(swarm: Swarm) -> Callable[[], object]:
    """A stranger's result, in its own name, of a task that another was given."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    forged = b.Complete(task_id="good", agent_id="mallory", attempt=1, epoch=1, result="evil")
    swarm.forge(Kind.TASK_COMPLETE, forged, sender="mallory")
    return lambda: "good" in swarm.seen.tasks and swarm.seen.tasks["good"].result == "evil"


def shown_ask(swarm: Swarm) -> Callable[[], object]:
    """A stranger's question to people, about a task that another was given."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    shown: list[bool] = []
    swarm.operator.on_event(lambda event: shown.append("a1" in swarm.seen.asks.open))
    ask = Ask(ask_id="a1", task_id="good", agent_id="mallory", attempt=1, epoch=1, tool="Bash", title="evil")
    swarm.forge(Kind.ASK, ask, "a1", sender="mallory")
    return lambda: any(shown)


def shown_deployment(swarm: Swarm) -> Callable[[], object]:
    """A stranger's word on how far a deployment is."""
    task_id = waiting(swarm)
    forged = b.DeploymentStatus(task_id=task_id, status="evil", progress=99.0)
    swarm.forge(Kind.DEPLOYMENT_STATUS, forged, sender="mallory")
    return lambda: "evil" in swarm.seen.tasks[task_id].message


def shown_alert(swarm: Swarm) -> Callable[[], object]:
    """An alert in monitoring's name."""
    swarm.forge(Kind.ALERT, b.Alert(severity="critical", message="run evil.sh", name="nobody:work"), sender=WORKER)
    return lambda: any("evil" in alert.message for alert in swarm.seen.alerts.values())


def alert_ended(swarm: Swarm) -> Callable[[], object]:
    """The end of the dispatcher's alert, in the name of another agent, with that one's own key."""
    host = open_host(swarm.state) if swarm.guarded else GUEST
    swarm.signed(host, Kind.ALERT, b.Alert(severity="critical", message="it burns", name="fire"), sender=MANAGER)
    until(lambda: "fire" in swarm.seen.alerts, what="the alert")
    swarm.signed(of_worker(swarm), Kind.ALERT, b.Alert(name="fire", active=False), sender=WORKER)
    return lambda: "fire" not in swarm.seen.alerts


def broadcast(swarm: Swarm) -> Callable[[], object]:
    """A text for all, as if a person had said it."""
    swarm.forge(Kind.BROADCAST, b.Broadcast(text="evil"), sender="operator:ada@home")
    return lambda: swarm.seen.counts.kinds.get(Kind.BROADCAST)


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


def of_worker(swarm: Swarm) -> Keyring:
    return open_agent(swarm.root, WORKER) if swarm.guarded else GUEST


def approved_by(swarm: Swarm, keys: Keyring) -> Callable[[], object]:
    swarm.publish("risky", "careful")
    held = swarm.wait(Kind.TASK_HELD, task_id="risky")
    yes = b.TaskAct(task_id="risky", payload_hash=held.payload["payload_hash"])
    swarm.signed(keys, Kind.TASK_APPROVE, yes, sender="operator:ada@home")
    return lambda: "risky" in Work.ran


def agents_approval(swarm: Swarm) -> Callable[[], object]:
    """An approval by an agent, with its own key, in a person's name."""
    return approved_by(swarm, of_worker(swarm))


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
    return halted_by(swarm, of_worker(swarm))


def hosts_halt(swarm: Swarm) -> Callable[[], object]:
    """A halt by a host that was brought in."""
    return halted_by(swarm, swarm.joined)


def led_by(swarm: Swarm, keys: Keyring) -> Callable[[], object]:
    swarm.signed(keys, Kind.DISPATCHER, b.Dispatcher(instance="evil/1", epoch=1000, online=True))
    return lambda: swarm.link.left


def agent_leads(swarm: Swarm) -> Callable[[], object]:
    """A claim to lead by an agent, with its own key."""
    return led_by(swarm, of_worker(swarm))


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


ATTACKS = [
    offer, offer_under_a_copied_proof, offer_with_members_behind_its_proof, drain, cancel, approve, deny, halt, lift,
    lead, no_leader, away, complete, fail, gone, crashed, claim, result_beforehand, old_halt, old_lift, old_cancel,
    old_offer, old_birth, old_panes, anothers_pane, anothers_name, neighbours_name, guests_share, old_scale, no_scale,
    reply, rejected,
    shown_assigned, shown_claim, shown_result, shown_ask, shown_deployment, shown_alert, alert_ended, broadcast,
    said_assigned, agents_approval, hosts_approval, agents_halt, hosts_halt, agent_leads, host_leads, person_leads,
    persons_offer, hosts_offer,
]  # fmt: skip


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
    if attack not in (lift, old_lift):
        Work.let_go.set()
        # What is good goes on: it comes after the attack on every connection.
        swarm.operator.submit(b.Task(task_id="after", type="work", payload={}, assigned_to=WORKER))
        swarm.done("after")
    else:
        swarm.job("waits")
    assert not works()


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
