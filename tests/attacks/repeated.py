"""What somebody says again who heard it: it was proved once."""

import os
import time
from collections.abc import Callable

from swarm_tui.identity.keyring import GUEST
from swarm_tui.identity.open import open_host
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind, topic
from tests.attacks.swarm import SWARM, WORKER, Attack, Swarm, Work
from tests.wait import until


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


def old_life(swarm: Swarm) -> Callable[[], object]:
    """The birth of a worker that has left, said again: tasks are offered to nobody."""
    full, raw = swarm.heard_raw(Kind.STATUS, WORKER, '"online"')
    swarm.worker.reporter.leave("it is stopped", 0)
    swarm.worker.close()
    swarm.wait(Kind.SHUTDOWN, agent_id=WORKER)
    swarm.send(full, raw, retain=True)
    swarm.publish("given-to-nobody")
    swarm.wait(Kind.TASK_QUEUED, task_id="given-to-nobody")
    return lambda: swarm.of(Kind.INBOX, task_id="given-to-nobody")


def old_panes(swarm: Swarm) -> Callable[[], object]:
    """A supervisor's word of before the worker's process, said again: that process seems to have ended."""
    swarm.publish("good", hold=True)
    swarm.wait(Kind.TASK_STARTED, task_id="good")
    keys = open_host(swarm.state) if swarm.guarded else GUEST
    old = swarm.host_says(keys, "home", 1)
    time.sleep(0.002)
    swarm.host_says(keys, "home", os.getpid())
    swarm.send(topic(SWARM, Kind.HOST_STATUS, "home"), old, retain=True)
    return lambda: swarm.of(Kind.TASK_RETRYING, task_id="good") or swarm.of(Kind.INBOX, task_id="good", attempt=2)


def old_scale(swarm: Swarm) -> Callable[[], object]:
    """A person's former number of agents, said again."""
    swarm.pin(7)
    time.sleep(0.002)
    swarm.pin(2)
    swarm.send(*swarm.heard_raw(Kind.SCALE, "general", '"desired":7'), retain=True)
    return lambda: swarm.pinned() == 7


ATTACKS: list[Attack] = [old_halt, old_lift, old_cancel, old_offer, old_birth, old_life, old_panes, old_scale]
