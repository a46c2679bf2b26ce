"""What a person had to approve goes to agents that prove themselves, whichever way it came into the swarm."""

from collections.abc import Callable

import msgspec
import pytest

from swarm_tui.domain.dispatch import DispatchSettings, TypePolicy
from swarm_tui.domain.dispatch import step as decide
from swarm_tui.domain.dispatch.agent_record import AgentRecord
from swarm_tui.domain.dispatch.model import Revoked
from swarm_tui.domain.workflows.model import Workflow
from swarm_tui.domain.workflows.schedule import Schedule
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import World, of, offers

STEPS = {"yes": {"type": "work", "approve": True}}
RULES = {"work": TypePolicy(roles=("general",)), "careful": TypePolicy(roles=("general",), approve=True)}


class Guarded(World):
    """`guest` has no key, `seed` speaks another dialect, and both are idle."""

    def __init__(self, *schedules: Schedule, keyless: tuple[str, ...] = ()) -> None:
        rules = {
            name: TypePolicy(roles=("general",), approve=rule.approve, keyless=keyless) for name, rule in RULES.items()
        }
        super().__init__(DispatchSettings(rules=rules, approve=("strange.*",), schedules=schedules, proved=True))
        self.state.agents["seed"] = AgentRecord(agent_id="seed", known_since=self.now, foreign=True, status="online")
        self.agent("guest", types=["strange.thing"], capacity=9)

    def _issuer(self, sender: str) -> str:  # type: ignore[override]
        return "" if sender in ("guest", "seed") else super()._issuer(sender)

    def approve(self) -> None:
        """Approve the task that waits for it, and let a minute pass in which the guests are heard."""
        (job,) = (job for job in self.state.jobs.values() if not job.ended)
        assert job.state == "awaiting-approval", job.state
        self.act(Kind.TASK_APPROVE, job.task_id, payload_hash=job.payload_hash)
        for _ in range(12):
            for name in ("guest", "seed"):
                self.hear(Kind.HEARTBEAT, b.Heartbeat(agent_id=name, incarnation="i1"), sender=name)
            self.tick(5.0)


def task(world: Guarded) -> None:
    world.submit("t", "careful")


def named(world: Guarded) -> None:
    world.submit("t", "careful", assigned_to="guest")


def undeclared(world: Guarded) -> None:
    world.submit("t", "strange.thing")


def request(world: Guarded) -> None:
    world.settings.rules["deployment.deploy"] = world.settings.rules["careful"]
    world.hear(Kind.DEPLOYMENT_REQUEST, b.Task(task_id="t", type="deployment.deploy"), sender="publisher")


def step(world: Guarded) -> None:
    world.run("r", STEPS)


def step_of_its_type(world: Guarded) -> None:
    world.run("r", {"yes": {"type": "careful"}})


def step_for_each(world: Guarded) -> None:
    world.run(
        "r", {"yes": {**STEPS["yes"], "each": "{inputs.items}"}}, {"items": [1]}, inputs={"items": {"type": "array"}}
    )


def step_again(world: Guarded) -> None:
    world.run("r", STEPS)
    world.act(Kind.TASK_DENY, "r.yes")
    world.act_on_run(Kind.RUN_RETRY, "r")


def redriven(world: Guarded) -> None:
    world.submit("t", "careful")
    world.act(Kind.TASK_DENY, "t")
    world.act(Kind.TASK_REDRIVE, "t")


def restored(world: Guarded) -> None:
    world.run("r", STEPS)
    seed = world.state.agents["seed"]
    world.crash()
    world.state.agents["seed"] = seed
    world.agent("guest", capacity=9)


def schedule(world: Guarded) -> None:
    world.tick(61.0)


def schedule_of_a_run(world: Guarded) -> None:
    world.tick(61.0)


CRON = {"cron": "* * * * *", "missed": "one"}
SCHEDULES = {
    schedule: Schedule(name="s", type="careful", **CRON),  # type: ignore[arg-type]
    schedule_of_a_run: Schedule(
        name="s", workflow=msgspec.convert({"workflow": "w", "steps": STEPS}, Workflow), **CRON
    ),  # type: ignore[arg-type]
}
WAYS: list[Callable[[Guarded], None]] = [
    task, named, undeclared, request, step, step_of_its_type, step_for_each, step_again, redriven, restored,
    *SCHEDULES,
]  # fmt: skip


def after(way: Callable[[Guarded], None], keyless: tuple[str, ...] = ()) -> Guarded:
    """A swarm in which it was asked for, and approved."""
    world = Guarded(*(SCHEDULES[one] for one in SCHEDULES if one is way), keyless=keyless)
    way(world)
    world.approve()
    return world


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_what_was_approved_is_for_agents_with_keys(way: Callable[[Guarded], None]) -> None:
    world = after(way)
    assert offers(world.said) == []
    alert = of(world.said, Kind.ALERT)[-1]
    assert "only an agent with keys may do it" in alert.message
    assert "guest" in alert.message
    world.agent("keyed", types=["strange.thing"])
    assert [offer.key for offer in offers(world.said)] == ([] if way is named else ["keyed"])


@pytest.mark.parametrize("way", [task, step], ids=lambda way: way.__name__)
def test_an_agent_of_another_dialect_may_where_the_layout_gives_it_the_type_by_name(
    way: Callable[[Guarded], None],
) -> None:
    assert [offer.key for offer in offers(after(way, ("seed",)).said)] == ["seed"]


def test_the_same_type_without_an_approval_is_anybodys() -> None:
    world = Guarded()
    world.run("r", STEPS)
    world.submit("plain", "work")
    assert [offer.body.task_id for offer in offers(world.said)] == ["plain"]


def test_what_an_agent_of_a_revoked_host_had_is_given_to_another_at_once() -> None:
    world = World(DispatchSettings(rules=RULES, proved=True))
    world.agent("w")
    world.start(offers(world.submit("t", "work"))[0])
    said = world._carry_out(decide(world.state, Revoked(frozenset({"box"})), world.moment()))
    assert world.job("t").state == "queued"
    assert "the host of w was revoked" in of(said, Kind.TASK_RETRYING)[0].reason
    world.tick(60.0)
    assert [offer.key for offer in offers(world.said)] == ["w"], "it is given nothing more"
    world.agent("other")
    assert [offer.key for offer in offers(world.said)] == ["w", "other"]
