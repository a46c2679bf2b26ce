"""What a stranger says to the screen and the commands, past the dispatcher."""

from collections.abc import Callable

from swarm_tui.identity.keyring import GUEST
from swarm_tui.identity.open import open_host
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.ask_bodies import Ask
from swarm_tui.protocol.topics import Kind
from tests.attacks.swarm import MANAGER, WORKER, Attack, Swarm
from tests.wait import until


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
    swarm.signed(swarm.worker_keys(), Kind.ALERT, b.Alert(name="fire", active=False), sender=WORKER)
    return lambda: "fire" not in swarm.seen.alerts


ATTACKS: list[Attack] = [
    shown_assigned,
    shown_claim,
    shown_result,
    shown_ask,
    shown_deployment,
    shown_alert,
    alert_ended,
]
