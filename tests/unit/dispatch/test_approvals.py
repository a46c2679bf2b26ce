"""Who approves is told apart by identity, and a task that needs two persons runs with two."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.domain.dispatch import DispatchSettings, step
from swarm_tui.domain.dispatch.model import TypePolicy
from swarm_tui.domain.dispatch.operators import identity_of
from swarm_tui.domain.dispatch.task_rows import row
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import SWARM, World, of

RULES = {"careful": TypePolicy(roles=("general",), approve=True)}
PEOPLE = ("operator:ada", "operator:bob", "operator:eve@home", "operator:max@home")
OTHERS = ("agent:w-1@home", "swarm", "host:helper", "")


class Careful(World):
    def __init__(self, approvers: int, *, proved: bool = True) -> None:
        super().__init__(DispatchSettings(rules=RULES, proved=proved, approvers=approvers))
        self.submit("t", "careful")

    def says(self, kind: Kind, by: str, sender: str = "operator:somebody@else") -> str:
        """An act, proved by an identity, in whatever name; why it was refused, or nothing."""
        writer = Writer(SWARM, sender, "operator", new_id=self._id, clock=lambda: self.wall)
        body = b.TaskAct(task_id="t", payload_hash=self.job("t").payload_hash)
        message = writer.message(kind, body)
        event = decode(SWARM, message.topic, message.payload, False, self.wall, lambda *_: by)
        assert isinstance(event, Event), event
        alerts = of(self._carry_out(step(self.state, event, self.moment())), Kind.ALERT)
        return alerts[0].message if alerts else ""


@given(st.lists(st.sampled_from([*PEOPLE, *OTHERS]), max_size=8), st.integers(1, 3))
def test_a_task_runs_once_so_many_identities_have_approved_it(said: list[str], needed: int) -> None:
    world, had = Careful(needed), list[str]()
    for who in said:
        waits = world.job("t").state is TaskState.AWAITING_APPROVAL
        counts = waits and who in PEOPLE and identity_of(who) not in map(identity_of, had)
        why = world.says(Kind.TASK_APPROVE, who)
        assert bool(why) is not counts
        had += [who] if counts else []
        assert (world.job("t").state is TaskState.AWAITING_APPROVAL) is (len(had) < needed)
    assert row(world.job("t")).approvals == had
    assert [hop.by for hop in world.job("t").hops if hop.what == "approved"] == had


def test_the_same_person_twice_is_said() -> None:
    world = Careful(2)
    assert world.says(Kind.TASK_APPROVE, "operator:eve@home") == ""
    assert world.job("t").reason == "approved by operator:eve@home; 1 more person must"
    assert "approved it already" in world.says(Kind.TASK_APPROVE, "operator:eve@home")
    assert "operator:max@home has the same keys" in world.says(Kind.TASK_APPROVE, "operator:max@home")
    assert world.says(Kind.TASK_APPROVE, "operator:ada") == ""
    assert world.job("t").approved_by == "operator:eve@home, operator:ada"


def test_one_no_is_enough_and_what_is_asked_again_is_asked_from_the_start() -> None:
    world = Careful(2)
    world.says(Kind.TASK_APPROVE, "operator:ada")
    world.says(Kind.TASK_DENY, "operator:bob")
    assert world.job("t").state is TaskState.CANCELLED
    world.says(Kind.TASK_REDRIVE, "operator:bob")
    assert world.job("t").state is TaskState.AWAITING_APPROVAL
    assert world.says(Kind.TASK_APPROVE, "operator:bob") == ""
    assert world.job("t").state is TaskState.AWAITING_APPROVAL


@pytest.mark.parametrize("needed", [1, 2])
def test_without_proofs_nobody_can_tell_two_persons_apart(needed: int) -> None:
    world = Careful(needed, proved=False)
    why = world.says(Kind.TASK_APPROVE, "", "operator:ada@home")
    assert ("by proof alone" in why) is (needed == 2)


def test_a_name_in_the_text_makes_nobody_a_person() -> None:
    world = Careful(1)
    assert "only an operator" in world.says(Kind.TASK_APPROVE, "agent:w-1@home", "operator:ada@home")
    assert world.says(Kind.TASK_APPROVE, "operator:bob", "operator:ada@home") == ""
    assert world.job("t").approved_by == "operator:bob"
