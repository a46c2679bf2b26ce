"""Mail in the core: accepted once, brought until it is there, read once, answered, or given up and told of."""

from typing import Any

import msgspec
import pytest

from swarm_tui.domain.dispatch import DispatchSettings, Say
from swarm_tui.domain.mail import model
from swarm_tui.domain.mail.model import MailState
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.mail_bodies import MessageNew, MessageReceipt
from swarm_tui.protocol.topics import Kind
from tests.unit.dispatch.world import OPERATOR, RULES, World, of, orders


def new(world: World, message_id: str, to: str, *, text: str = "hello", sender: str = "a", **more: Any) -> list[Say]:
    body = MessageNew(message_id=message_id, to=to, text=text, **more)
    return world.hear(Kind.MESSAGE_NEW, body, sender=sender)


def receipt(world: World, kind: Kind, message_id: str, agent_id: str) -> list[Say]:
    return world.hear(kind, MessageReceipt(message_id=message_id, agent_id=agent_id), sender=agent_id)


def state_of(world: World, message_id: str, agent_id: str) -> MailState:
    return world.state.post.mails[message_id].receivers[agent_id].state


def inbox(says: list[Say]) -> list[tuple[str, str]]:
    """To whom which messages were brought."""
    found = []
    for say in orders(says, "message"):
        assert isinstance(say.body, b.Inbox)
        assert say.body.message is not None
        found.append((say.key, say.body.message.message_id))
    return found


def two() -> World:
    world = World()
    world.agent("a")
    world.agent("b", role="testing", types=["testing.run"])
    return world


def why(says: list[Say]) -> str:
    (rejected,) = of(says, Kind.MESSAGE_REJECTED)
    return str(rejected.reason)


def test_a_message_is_journaled_before_it_is_accepted_and_goes_to_its_receiver() -> None:
    world = two()
    says = new(world, "m", "b", expects_answer=True, task_id="t1")
    (accepted,) = of(says, Kind.MESSAGE_ACCEPTED)
    assert (accepted.sender, accepted.receivers, accepted.duplicate) == ("a", ["b"], False)
    assert next(say for say in says if say.kind is Kind.MESSAGE_ACCEPTED).durable
    assert "m" in world.mail_rows
    (say,) = orders(says, "message")
    assert isinstance(say.body, b.Inbox)
    assert say.body.message is not None
    assert (say.key, say.body.message.sender, say.body.message.text) == ("b", "a", "hello")
    assert [s.key for s in orders(says, "receipt")] == ["a"]


def test_the_same_message_again_is_answered_again_and_another_under_its_id_is_refused() -> None:
    world = two()
    new(world, "m", "b")
    says = new(world, "m", "b")
    assert [(one.duplicate, inbox(says)) for one in of(says, Kind.MESSAGE_ACCEPTED)] == [(True, [])]
    assert "taken" in why(new(world, "m", "b", text="another"))
    assert "taken" in why(new(world, "m", "b", sender="b"))


def test_it_is_said_again_until_the_agent_has_it() -> None:
    world = two()
    new(world, "m", "b")
    assert inbox(world.tick(1.0)) == []
    assert inbox(world.tick(1.5)) == [("b", "m")]
    receipt(world, Kind.MESSAGE_DELIVERED, "m", "b")
    world.beat("b")
    assert inbox(world.tick(100.0)) == []
    says = receipt(world, Kind.MESSAGE_READ, "m", "b")
    assert state_of(world, "m", "b") is MailState.READ
    (ack,) = orders(says, "receipt")
    assert ack.patient, "the agent is told only once it is written"
    assert world.state.post.unread == {}


def test_a_reading_of_what_is_not_known_is_answered_so_that_it_is_said_no_more() -> None:
    world = two()
    new(world, "m", "b")
    for message_id, agent_id in (("none", "b"), ("m", "a")):
        says = receipt(world, Kind.MESSAGE_READ, message_id, agent_id)
        assert [(say.key, say.body.answer) for say in orders(says, "receipt") if isinstance(say.body, b.Inbox)] == [
            (agent_id, {"message_id": message_id, "state": "unknown"})
        ]
        assert receipt(world, Kind.MESSAGE_DELIVERED, message_id, agent_id) == []
    assert state_of(world, "m", "b") is MailState.WAITING


def test_mail_waits_for_an_agent_that_is_away_and_comes_when_it_is_there() -> None:
    world = two()
    world.hear(Kind.STATUS, b.Status(status="offline", incarnation="i1"), key="b", sender="b")
    assert inbox(new(world, "m", "b")) == []
    assert inbox(world.tick(60.0)) == []
    assert inbox(world.agent("b", incarnation="i2")) == [("b", "m")]


def test_one_that_the_layout_names_may_get_mail_before_it_was_heard_of() -> None:
    world = World(DispatchSettings(rules=RULES, agents=frozenset({"later"})))
    new(world, "m", "later")
    assert inbox(world.agent("later")) == [("later", "m")]


def test_where_no_layout_names_the_agents_a_new_dispatcher_waits_to_hear_of_them() -> None:
    world = World()
    new(world, "m", "by-hand")
    assert inbox(world.agent("by-hand")) == [("by-hand", "m")]
    world.tick(61.0)
    assert "no agent" in why(new(world, "n", "nobody"))
    named = World(DispatchSettings(rules=RULES, agents=frozenset({"a"})))
    assert "no agent" in why(new(named, "n", "nobody"))


def test_a_crash_loses_nothing_and_nothing_is_accepted_twice() -> None:
    world = two()
    new(world, "m", "b")
    new(world, "n", "b")
    receipt(world, Kind.MESSAGE_READ, "n", "b")
    world.crash()
    assert inbox(world.agent("b")) == [("b", "m")]
    assert of(new(world, "m", "b"), Kind.MESSAGE_ACCEPTED)[0].duplicate
    assert state_of(world, "n", "b") is MailState.READ


def test_what_was_read_while_another_led_is_asked_for_by_who_leads_after_it() -> None:
    """One that led past its time tells the agent that its reading is written: in a journal that nobody has any more."""
    world = two()
    new(world, "m", "b", expires_at=world.wall + 500)
    new(world, "n", "b", expires_at=world.wall + 500)
    receipt(world, Kind.MESSAGE_DELIVERED, "m", "b")
    receipt(world, Kind.MESSAGE_DELIVERED, "n", "b")
    world.crash()
    assert inbox(world.agent("b")) == [("b", "m"), ("b", "n")]
    receipt(world, Kind.MESSAGE_READ, "m", "b")
    receipt(world, Kind.MESSAGE_DELIVERED, "n", "b")
    assert inbox(world.tick(40.0)) == [], "it says how far each is"
    assert state_of(world, "m", "b") is MailState.READ
    world.crash()
    says = world.tick(500.0)
    assert [dead.message_id for dead in of(says, Kind.MESSAGE_DEAD)] == ["n"], "once"
    assert world.state.post.unread == {}


def test_only_so_many_are_on_their_way_to_one_at_a_time_in_order() -> None:
    world = two()
    for n in range(model.WINDOW + 5):
        new(world, f"m{n}", "b")
    before = len(world.said)
    receipt(world, Kind.MESSAGE_DELIVERED, "m0", "b")
    assert inbox(world.said[before:]) == [("b", f"m{model.WINDOW}")]


def test_a_role_is_each_agent_of_it_that_is_there_or_comes_in_time_but_the_sender() -> None:
    world = two()
    world.agent("c", role="testing", types=["testing.run"])
    says = new(world, "m", "test", sender="b")
    assert inbox(says) == [("c", "m")]
    world.agent("d", role="testing", types=["testing.run"])
    assert inbox(world.tick(1.0)) == [("d", "m")]
    world.tick(model.WIDE_LIFE)
    world.agent("e", role="testing", types=["testing.run"])
    assert inbox(world.tick(1.0)) == []
    assert set(world.state.post.mails["m"].receivers) == {"c", "d"}


def test_an_agents_name_comes_before_a_roles_and_role_says_which_is_meant() -> None:
    world = two()
    world.agent("testing", role="general")
    assert inbox(new(world, "m", "testing")) == [("testing", "m")]
    assert inbox(new(world, "n", "role:testing")) == [("b", "n")]
    assert inbox(new(world, "o", "all")) == [("b", "o"), ("testing", "o")]


def test_what_nobody_of_a_role_ever_came_for_is_a_dead_letter() -> None:
    world = two()
    new(world, "m", "security")
    says = world.tick(model.WIDE_LIFE + 1)
    (dead,) = of(says, Kind.MESSAGE_DEAD)
    assert (dead.message_id, dead.agent_id, dead.reason) == ("m", None, "nobody whom it is for was there")
    assert world.state.post.mails["m"].ended


@pytest.mark.parametrize(
    ("delivered", "reason"), [(False, "it could not be delivered in time"), (True, "it was not read in time")]
)
def test_a_dead_letter_is_said_once_and_to_its_sender(delivered: bool, reason: str) -> None:
    world = two()
    new(world, "m", "b", expires_at=world.wall + 5)
    if delivered:
        receipt(world, Kind.MESSAGE_DELIVERED, "m", "b")
    says = world.tick(20.0)
    assert [(one.agent_id, one.reason) for one in of(says, Kind.MESSAGE_DEAD)] == [("b", reason)]
    answers = [say.body.answer for say in orders(says, "receipt") if isinstance(say.body, b.Inbox)]
    assert {"message_id": "m", "state": "dead", "reason": reason} in answers
    receipt(world, Kind.MESSAGE_READ, "m", "b")
    assert state_of(world, "m", "b") is MailState.READ, "what was read after all is read"


def test_what_was_given_up_is_not_brought_to_life_by_a_late_delivery() -> None:
    world = two()
    new(world, "m", "b", expires_at=world.wall + 5)
    world.tick(20.0)
    receipt(world, Kind.MESSAGE_DELIVERED, "m", "b")
    assert state_of(world, "m", "b") is MailState.DEAD
    assert of(world.tick(20.0), Kind.MESSAGE_DEAD) == []


def test_an_answer_is_a_message_to_who_asked_and_the_question_is_answered() -> None:
    world = two()
    new(world, "m", "b", expects_answer=True)
    says = new(world, "n", "", sender="b", reply_to="m", text="yes")
    assert inbox(says) == [("a", "n")]
    (answered,) = of(says, Kind.MESSAGE_ANSWERED)
    assert (answered.message_id, answered.answer_id, answered.sender, answered.text) == ("m", "n", "b", "yes")
    assert state_of(world, "m", "b") is MailState.ANSWERED
    assert world.state.post.mails["m"].receivers["b"].answer_id == "n"


def test_the_first_answer_counts_and_is_kept_so() -> None:
    world = two()
    new(world, "m", "b", expects_answer=True)
    new(world, "n", "", sender="b", reply_to="m", text="yes")
    says = new(world, "o", "", sender="b", reply_to="m", text="no")
    assert inbox(says) == [("a", "o")]
    assert world.state.post.mails["m"].receivers["b"].answer_id == "n"
    assert msgspec.msgpack.encode(world.state.post.mails["m"]) == world.mail_rows["m"]


def test_nobody_answers_for_another() -> None:
    world = two()
    world.agent("c")
    new(world, "m", "b", expects_answer=True)
    says = new(world, "n", "a", sender="c", reply_to="m")
    assert of(says, Kind.MESSAGE_ANSWERED) == []
    (brought,) = [say.body.message for say in orders(says, "message") if isinstance(say.body, b.Inbox)]
    assert brought is not None
    assert (brought.sender, brought.reply_to) == ("c", None), "who waits for b would take it for the answer"
    assert state_of(world, "m", "b") is MailState.WAITING
    receipt(world, Kind.MESSAGE_READ, "m", "c")
    assert state_of(world, "m", "b") is MailState.WAITING


def test_a_person_asks_and_is_answered_without_an_inbox() -> None:
    world = two()
    new(world, "m", "b", sender=OPERATOR, expects_answer=True)
    says = new(world, "n", "", sender="b", reply_to="m", text="done")
    assert of(says, Kind.MESSAGE_ANSWERED)[0].text == "done"
    assert inbox(says) == []
    assert world.state.post.mails["n"].to == OPERATOR
    assert world.state.post.mails["n"].ended


def test_who_is_no_agent_is_answered_too_and_the_answer_is_kept() -> None:
    world = two()
    new(world, "m", "b", sender="some-script", expects_answer=True)
    says = new(world, "n", "", sender="b", reply_to="m", text="done")
    assert of(says, Kind.MESSAGE_ANSWERED)[0].text == "done"
    assert (world.state.post.mails["n"].to, world.state.post.mails["n"].wide) == ("some-script", False)
    assert world.state.post.mails["n"].ended


def test_an_agent_that_does_no_tasks_gets_no_mail() -> None:
    world = two()
    world.agent("boss", role="task-manager")
    assert "does no tasks" in why(new(world, "m", "boss"))
    assert inbox(new(world, "n", "all")) == [("b", "n")]


def test_of_what_is_for_many_it_is_a_dead_letter_to_one_that_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm_tui.domain.dispatch.mail.MAX_WAITING", 1)
    world = two()
    world.agent("c")
    new(world, "m", "b")
    says = new(world, "n", "all")
    assert inbox(says) == [("c", "n")]
    assert [(one.agent_id, "wait for it" in one.reason) for one in of(says, Kind.MESSAGE_DEAD)] == [("b", True)]
    assert state_of(world, "n", "b") is MailState.DEAD


def test_each_speaks_as_itself_only() -> None:
    world = World(DispatchSettings(rules=RULES, proved=True))
    world.agent("a")
    world.agent("b")
    body = MessageNew(message_id="m", to="b", text="x", sender=OPERATOR)
    assert "itself only" in why(world.hear(Kind.MESSAGE_NEW, body, sender="a"))
    body = MessageNew(message_id="m", to="b", text="x", sender="a")
    assert of(world.hear(Kind.MESSAGE_NEW, body, sender="a"), Kind.MESSAGE_ACCEPTED)[0].sender == "a"


def test_what_somebody_says_again_long_after_counts_for_nothing() -> None:
    world = World(DispatchSettings(rules=RULES, proved=True))
    world.agent("a")
    world.agent("b")
    new(world, "m", "b")
    event = world.heard[-1]
    world.state.post.mails.clear()
    world.wall += model.LONGEST_LIFE + 1
    assert not of(world.hear_again(event), Kind.MESSAGE_ACCEPTED)
    assert world.state.post.mails == {}


@pytest.mark.parametrize(
    ("to", "text", "more", "reason"),
    [
        ("b", " \n", {}, "empty"),
        ("b", "ä" * 9000, {}, "18,000 bytes, at most 16,384"),
        ("nobody", "x", {}, "no agent and no role 'nobody'"),
        ("", "x", {}, "not to whom"),
        ("b", "x", {"reply_to": "m"}, "answers itself"),
        ("b", "x", {"expires_at": 1_600_000_000.0}, "expired"),
        ("s0", "x", {}, "speaks another dialect"),
    ],
)
def test_what_cannot_be_taken_is_refused_with_a_sentence(to: str, text: str, more: dict[str, Any], reason: str) -> None:
    world = two()
    world.tick(61.0)
    world.agent("s0")
    world.state.agents["s0"].foreign = True
    assert reason in why(new(world, "m", to, text=text, **more))
    assert world.mail_rows == {}


def test_what_waits_for_one_receiver_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm_tui.domain.dispatch.mail.MAX_WAITING", 3)
    world = two()
    for n in range(3):
        new(world, f"m{n}", "b")
    assert "3 messages wait for b already" in why(new(world, "m", "b"))
    receipt(world, Kind.MESSAGE_READ, "m0", "b")
    assert of(new(world, "m", "b"), Kind.MESSAGE_ACCEPTED)


def test_messages_to_all_that_are_open_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("swarm_tui.domain.dispatch.mail.MAX_WIDE", 2)
    world = two()
    new(world, "m", "all")
    new(world, "n", "testing")
    assert "2 messages to a role or to all" in why(new(world, "o", "all"))


def test_mail_to_an_agent_that_nobody_has_heard_of_is_taken_before_the_lead_begins_and_for_a_minute() -> None:
    world = World(leading=False)
    assert world.now > 60.0
    assert of(new(world, "m1", "later", sender=OPERATOR), Kind.MESSAGE_ACCEPTED)
    world.lead(1)
    assert of(new(world, "m2", "later", sender=OPERATOR), Kind.MESSAGE_ACCEPTED)
    world.tick(61.0)
    assert "no agent" in why(new(world, "m3", "later", sender=OPERATOR))
