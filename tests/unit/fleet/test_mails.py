"""Mail as the fleet sees it: each receipt as it is said, in any order, and over a keyframe."""

import itertools

import pytest

from swarm_tui.domain.fleet.mails import MAX_MAILS
from swarm_tui.domain.fleet.snapshot import MAX_TEXT, restored, snapshot
from swarm_tui.protocol.bodies import Body
from swarm_tui.protocol.mail_bodies import (
    MessageAccepted,
    MessageAnswered,
    MessageDead,
    MessageNew,
    MessageReceipt,
    MessageRejected,
)
from swarm_tui.protocol.rows import MailReceipt, MailRow
from swarm_tui.protocol.topics import Kind
from tests.unit.fleet.swarm import Paper

STORY: list[tuple[str, Kind, Body]] = [
    ("a", Kind.MESSAGE_NEW, MessageNew(message_id="m", to="b", text="ready?", expects_answer=True, task_id="t")),
    ("tm", Kind.MESSAGE_ACCEPTED, MessageAccepted(message_id="m", sender="a", to="b", receivers=["b"])),
    ("b", Kind.MESSAGE_DELIVERED, MessageReceipt(message_id="m", agent_id="b")),
    ("b", Kind.MESSAGE_READ, MessageReceipt(message_id="m", agent_id="b", task_id="t9")),
    ("tm", Kind.MESSAGE_ANSWERED, MessageAnswered(message_id="m", answer_id="n", sender="b", text="yes")),
]


def told(paper: Paper, upto: int) -> str:
    for sender, kind, body in STORY[:upto]:
        paper.say(sender, kind, body)
    return paper.fleet.mails["m"].state


@pytest.mark.parametrize(
    ("upto", "state"), [(1, "sent"), (2, "accepted"), (3, "delivered"), (4, "read"), (5, "answered")]
)
def test_each_receipt_takes_it_further(upto: int, state: str) -> None:
    assert told(Paper(), upto) == state


def test_its_parties_look_different_and_its_words_are_kept() -> None:
    paper = Paper()
    paper.birth("a")
    paper.birth("b")
    told(paper, 2)
    changes = paper.say("b", *STORY[2][1:])
    assert (changes.mails, changes.agents) == ({"m"}, {"a", "b"})
    paper.say(*STORY[4])
    view = paper.fleet.mails["m"]
    assert (view.sender, view.to, view.text, view.task_id) == ("a", "b", "ready?", "t")
    assert (view.answer, view.answered_by) == ("yes", "b")
    assert view.is_of("a")
    assert view.is_of("b")
    assert not view.is_of("c")


@pytest.mark.parametrize("order", itertools.permutations(range(1, 5)))
def test_receipts_in_any_order_give_the_same(order: tuple[int, ...]) -> None:
    paper = Paper()
    paper.say(*STORY[0])
    for at in order:
        paper.say(*STORY[at])
    assert paper.fleet.mails["m"].receipts["b"].state in ("answered", "read")
    assert paper.fleet.mails["m"].answered_by == "b"


def test_a_refusal_and_a_dead_letter_say_why() -> None:
    paper = Paper()
    paper.say("a", Kind.MESSAGE_NEW, MessageNew(message_id="r", to="x", text="x"))
    paper.say("tm", Kind.MESSAGE_REJECTED, MessageRejected(message_id="r", reason="there is no\x1b[31m x"))
    assert (paper.fleet.mails["r"].state, "\x1b" in paper.fleet.mails["r"].reason) == ("rejected", False)
    told(paper, 2)
    paper.say("tm", Kind.MESSAGE_DEAD, MessageDead(message_id="m", agent_id="b", reason="not read in time"))
    assert (paper.fleet.mails["m"].state, paper.fleet.mails["m"].receipts["b"].reason) == ("dead", "not read in time")
    paper.say(*STORY[3])
    assert paper.fleet.mails["m"].state == "read"
    paper.say("tm", Kind.MESSAGE_ACCEPTED, MessageAccepted(message_id="w", sender="a", to="security"))
    paper.say("tm", Kind.MESSAGE_DEAD, MessageDead(message_id="w", reason="nobody was there"))
    assert paper.fleet.mails["w"].state == "dead"


def test_to_several_it_is_as_far_as_the_last_of_them() -> None:
    paper = Paper()
    accepted = MessageAccepted(message_id="m", sender="a", to="all", receivers=["b", "c"])
    paper.say("tm", Kind.MESSAGE_ACCEPTED, accepted)
    paper.say("b", Kind.MESSAGE_READ, MessageReceipt(message_id="m", agent_id="b"))
    assert paper.fleet.mails["m"].state == "accepted"
    paper.say("c", Kind.MESSAGE_DELIVERED, MessageReceipt(message_id="m", agent_id="c"))
    assert paper.fleet.mails["m"].state == "delivered"
    paper.say("tm", Kind.MESSAGE_DEAD, MessageDead(message_id="m", agent_id="c", reason="late"))
    assert paper.fleet.mails["m"].state == "read"


def test_a_keyframe_holds_it_and_goes_on_from_there() -> None:
    paper = Paper()
    told(paper, 3)
    paper.say("a", Kind.MESSAGE_NEW, MessageNew(message_id="long", to="b", text="x" * 9000))
    again = restored(snapshot(paper.fleet), kept=100)
    assert again.mails["m"] == paper.fleet.mails["m"]
    assert len(again.mails["long"].text) == MAX_TEXT
    again.apply(paper.event(*STORY[3]), paper.now)
    assert again.mails["m"].state == "read"


def test_the_dispatchers_record_is_taken_in_before_what_was_heard() -> None:
    paper = Paper()
    told(paper, 2)
    row = MailRow(
        message_id="old", sender="b", to="a", text="before", accepted_at=5.0,
        receipts=[MailReceipt(agent_id="a", state="read", at=6.0), MailReceipt(agent_id="x", state="odd")],
    )  # fmt: skip
    paper.fleet.load_mails([row])
    assert list(paper.fleet.mails) == ["old", "m"]
    assert paper.fleet.mails["old"].receipts["a"].state == "read"


def test_only_so_many_are_kept() -> None:
    paper = Paper()
    for n in range(MAX_MAILS + 10):
        paper.say("a", Kind.MESSAGE_NEW, MessageNew(message_id=f"m{n}", to="b", text="x"))
    assert len(paper.fleet.mails) == MAX_MAILS
    assert "m0" not in paper.fleet.mails
