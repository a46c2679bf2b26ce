"""Who leads, from the first look to the farewell: nothing is acted on while another may lead, nor once another does."""

import itertools

import pytest

from swarm_tui.domain.dispatch.core import OWN_SLEEP
from swarm_tui.domain.dispatch.model import LinkDown, LinkUp
from swarm_tui.domain.leadership import (
    Action,
    Complain,
    Echoes,
    Lead,
    Leadership,
    LeaveSession,
    LookAgain,
    Note,
    OpenSession,
    Pass,
    Phase,
    RepeatHalt,
    Say,
    StandDown,
    TakeBack,
    WriteEpoch,
)
from swarm_tui.domain.leadership.leadership import LOOK_AGAIN, MARK_AGAIN, MOST_ECHOES, MOST_EPOCH, MOST_KEPT
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event, Outgoing
from swarm_tui.protocol.topics import Kind

WRITER = Writer("s", "x", "general", new_id=lambda: "id", clock=lambda: 0.0)


def event(kind: Kind, body: b.Body | None) -> Event:
    key = "tm" if kind is Kind.INBOX else ""
    message = WRITER.message(kind, body, key) if body is not None else WRITER.clear(kind)
    heard = decode("s", message.topic, message.payload, False, 0.0)
    assert isinstance(heard, Event)
    return heard


def leader(instance: str, epoch: int, *, online: bool) -> Event:
    return event(Kind.DISPATCHER, b.Dispatcher(instance=instance, epoch=epoch, online=online))


def a_task(task_id: str = "t") -> Event:
    return event(Kind.TASK_NEW, b.Task(task_id=task_id, type="noop"))


def one(written: int = 0, *, take_over: bool = False) -> Leadership:
    marks = (f"mark {n}" for n in itertools.count())
    return Leadership("box/1", "tm", written=written, take_over=take_over, new_marker=lambda: next(marks))


def mark_of(actions: list[Action]) -> Event:
    """The word to itself that is among the actions, as it comes back."""
    said = [a.body for a in actions if isinstance(a, Say) and isinstance(a.body, b.Inbox)]
    assert len(said) == 1
    return event(Kind.INBOX, said[0])


def up(leadership: Leadership, now: float = 0.0) -> Event:
    """The connection begins; the mark that is said on it, as it comes back."""
    return mark_of(leadership.on_link(up=True, renewed=True, now=now))


def adopting(written: int = 2) -> tuple[Leadership, Event]:
    leadership = one(written)
    leadership.hear(up(leadership), 0.0)
    assert leadership.phase is Phase.ADOPTING
    return leadership, up(leadership)


def leading(epoch: int = 3) -> Leadership:
    leadership, mark = adopting(epoch - 1)
    leadership.hear(mark, 0.0)
    leadership.written()
    assert leadership.settled
    return leadership


def passed(actions: list[Action]) -> list[object]:
    return [action.item for action in actions if isinstance(action, Pass)]


def test_it_looks_adopts_writes_its_epoch_and_only_then_says_that_it_leads() -> None:
    leadership = one(written=4)
    mark = up(leadership)
    assert leadership.hear(leader("box/0", 6, online=False), 0.0) == []
    (opened,) = leadership.hear(mark, 0.0)
    assert opened == OpenSession(leadership.presence(online=False))
    assert leadership.epoch == 7
    old, mark, task = mark, up(leadership), a_task()
    assert leadership.hear(task, 0.0) == [Pass(task)]
    # The one of the connection that only looked proves nothing of this one.
    assert leadership.hear(old, 0.0) == [Pass(old)]
    assert leadership.written() == []
    assert leadership.hear(mark, 0.0) == [Pass(mark), WriteEpoch(7)]
    assert not leadership.settled
    assert leadership.written() == [
        RepeatHalt(),
        Say(Kind.DISPATCHER, b.Dispatcher(instance="box/1", epoch=7, online=True, agent_id="tm")),
        Lead(7),
    ]
    assert leadership.settled


def test_it_stands_by_while_one_elsewhere_has_the_lead_unless_it_is_to_take_over() -> None:
    for take_over in (False, True):
        leadership = one(take_over=take_over)
        mark = up(leadership)
        leadership.hear(leader("far/1", 6, online=True), 0.0)
        assert isinstance(leadership.hear(mark, 0.0)[0], OpenSession if take_over else Note)
    leadership = one()
    mark = up(leadership)
    leadership.hear(leader("far/1", 6, online=True), 0.0)
    leadership.hear(mark, 0.0)
    assert leadership.hear(leader("far/1", 6, online=False), 0.0) == []
    assert isinstance(leadership.hear(event(Kind.DISPATCHER, None), 0.0)[0], OpenSession)
    assert leadership.epoch == 7


def test_who_stands_by_heeds_a_person_who_wishes_it_to_lead() -> None:
    leadership = one()
    assert leadership.take_over() == [], "it does not know yet who leads"
    leadership = one()
    mark = up(leadership)
    leadership.hear(leader("far/1", 6, online=True), 0.0)
    leadership.hear(mark, 0.0)
    assert leadership.phase is Phase.LOOKING
    assert leadership.take_over() == [OpenSession(leadership.presence(online=False))]
    assert leadership.epoch == 7
    assert leading().take_over() == []


def test_a_newer_one_that_came_while_it_adopted_is_not_answered_with_a_claim() -> None:
    leadership, mark = adopting()
    assert leadership.hear(leader("far/1", 3, online=False), 0.0)
    assert leadership.hear(leader("far/1", 3, online=True), 0.0) == [StandDown("far/1 leads with epoch 3")]
    assert leadership.hear(mark, 0.0) == []
    assert leadership.written() == []


def test_a_connection_that_breaks_before_it_leads_is_heard_out_anew() -> None:
    leadership, mark = adopting()
    leadership.hear(mark, 0.0)
    assert leadership.phase is Phase.CLAIMING
    assert leadership.on_link(up=False, renewed=False, now=0.0) == []
    assert leadership.written() == []
    assert WriteEpoch(3) in leadership.hear(up(leadership), 0.0)


def test_its_word_to_itself_is_said_again_until_it_comes() -> None:
    leadership = one()
    mark = up(leadership)
    assert leadership.tick(MARK_AGAIN - 1.0) == []
    assert mark_of(leadership.tick(MARK_AGAIN)).body == mark.body
    leadership.hear(mark, MARK_AGAIN)
    assert leadership.tick(MARK_AGAIN + 4.0) == []


@pytest.mark.parametrize("phase", [Phase.LOOKING, Phase.ADOPTING, Phase.LEADING])
def test_after_a_sleep_of_its_own_nothing_that_it_knew_proves_anything(phase: Phase) -> None:
    leadership = {Phase.LOOKING: one, Phase.ADOPTING: lambda: adopting()[0], Phase.LEADING: leading}[phase]()
    old = up(leadership)
    fresh = mark_of(leadership.tick(OWN_SLEEP + 1.0))
    leadership.hear(old, 6.0)
    assert leadership.phase is phase
    assert leadership.doubts is (phase is Phase.LEADING)
    leadership.hear(fresh, 6.0)
    assert leadership.phase is not phase or not leadership.doubts
    # Work of its own that took as long was none.
    leadership.worked(60.0)
    assert leadership.tick(61.0) == []


def test_what_it_leaves_behind() -> None:
    # Whoever listens takes an empty message for nothing while what it takes away stands.
    gone, nothing = leading().leave(0, kept=True)
    assert isinstance(gone, Say)
    assert isinstance(gone.body, b.Dispatcher)
    assert not gone.body.online
    assert nothing == Say(Kind.DISPATCHER, None)
    for open_tasks, kept in ((3, True), (0, False)):
        (said,) = leading().leave(open_tasks, kept=kept)
        assert isinstance(said, Say)
        assert isinstance(said.body, b.Dispatcher)
        assert (said.body.online, said.body.open) == (False, open_tasks)
    doubting = leading()
    doubting.on_link(up=True, renewed=True, now=0.0)
    assert doubting.leave(0, kept=True) == []
    assert adopting()[0].leave(0, kept=True) == []


def test_a_break_is_passed_on_as_it_is_heard_while_it_leads() -> None:
    leadership = leading()
    assert leadership.on_link(up=True, renewed=False, now=0.0) == [Pass(LinkUp())]
    assert leadership.on_link(up=False, renewed=False, now=0.0) == [TakeBack(), Pass(LinkDown())]
    leadership.keep([a_task("before")])
    assert leadership.hear(a_task("other"), 0.0) == []
    assert leadership.hear(leader("box/1", 3, online=False), 0.0) == []
    mark = up(leadership)
    assert passed(leadership.hear(mark, 0.0)) == [a_task("before"), a_task("other"), LinkUp(), mark]


def test_an_echo_is_taken_once_and_those_that_never_came_are_bounded() -> None:
    echoes, said = Echoes(), Outgoing("s/tasks/assigned", b"x")
    echoes.add(said)
    assert not echoes.take(b"y")
    assert echoes.take(b"x")
    assert not echoes.take(b"x")
    for number in range(3 * MOST_ECHOES):
        echoes.add(Outgoing("s/tasks/assigned", b"%d" % number))
    assert len(echoes) <= MOST_ECHOES


def test_what_comes_is_acted_on_at_once_while_the_connection_lasts() -> None:
    leadership, task = leading(), a_task()
    assert leadership.hear(task, 0.0) == [Pass(task)]
    assert leadership.hear(leader("far/1", 9, online=False), 0.0) == []
    assert leadership.hear(task, 0.0) == [Pass(task)]
    assert not leadership.over


def test_it_goes_for_a_newer_one_that_is_there() -> None:
    for instance, epoch, online, goes in (
        ("far/1", 4, True, True),
        ("far/1", 3, True, True),  # One of two that began with one epoch goes.
        ("a/1", 3, True, False),
        ("far/1", 2, True, False),
        ("far/1", 4, False, False),
        ("box/1", 3, True, False),
        ("far/1", MOST_EPOCH, True, False),
    ):
        leadership = leading(3)
        actions = leadership.hear(leader(instance, epoch, online=online), 0.0)
        assert bool(leadership.over) is goes, (instance, epoch, online)
        newer = (epoch, instance) > (3, "box/1") and epoch < MOST_EPOCH
        # A claim that is none of a newer one's is answered by our own, which agents are to find on the topic.
        again = [] if newer or instance == "box/1" else [Say(Kind.DISPATCHER, leadership.presence(online=True))]
        assert actions == ([StandDown(leadership.over)] if goes else again)
        # What comes in one go with the other's word is the other's to take.
        assert passed(leadership.hear(a_task(), 0.0)) == ([] if goes else [a_task()])


def test_after_a_break_all_is_kept_until_what_is_retained_was_heard() -> None:
    leadership, task = leading(), a_task()
    mark = up(leadership)
    assert leadership.hear(task, 0.0) == []
    assert leadership.hear(leader("box/1", 3, online=False), 0.0) == []
    assert leadership.hear(event(Kind.HEARTBEAT, b.Heartbeat(agent_id="w")), 0.0) == []
    actions = leadership.hear(mark, 0.0)
    assert actions[:2] == [Complain(""), Say(Kind.DISPATCHER, leadership.presence(online=True))]
    assert passed(actions) == [LinkUp(), task, mark]
    assert not leadership.doubts
    assert leadership.hear(task, 0.0) == [Pass(task)]


def test_it_acts_no_more_once_a_newer_one_led_though_that_is_away() -> None:
    leadership = leading()
    mark = up(leadership)
    actions = leadership.hear(leader("far/1", 4, online=False), 0.0)
    assert [type(action) for action in actions] == [Complain, Note, LeaveSession]
    assert leadership.hear(mark, 0.0) == []
    assert leadership.hear(a_task(), 0.0) == []
    # Said before that, and heard later over the other of its two connections.
    assert leadership.hear(leader("box/1", 3, online=False), 0.0) == []
    assert leadership.hear(leader("old/1", 2, online=True), 0.0) == []
    assert leadership.doubts
    assert not leadership.over
    leadership.hear(leader("far/2", 5, online=True), 0.0)
    assert "far/2" in leadership.over


def test_while_it_stands_by_for_a_newer_one_it_looks_again_in_case_a_word_was_lost() -> None:
    leadership = leading()
    mark = up(leadership)
    leadership.hear(leader("far/1", 4, online=False), 0.0)
    leadership.hear(mark, 0.0)
    for now, action in ((LOOK_AGAIN - 1.0, []), (LOOK_AGAIN, [LookAgain()]), (LOOK_AGAIN + 1.0, [])):
        leadership.worked(now)
        assert leadership.tick(now) == action
    mark = up(leadership, LOOK_AGAIN)
    assert leadership.hear(mark, LOOK_AGAIN) == []
    leadership.worked(2 * LOOK_AGAIN)
    assert leadership.tick(2 * LOOK_AGAIN) == [LookAgain()]
    up(leadership, 2 * LOOK_AGAIN)
    assert leadership.hear(leader("far/1", 4, online=True), 2 * LOOK_AGAIN) == [StandDown("far/1 leads with epoch 4")]


def test_it_begins_anew_when_the_newer_one_left_in_order() -> None:
    leadership = leading()
    leadership.hear(up(leadership), 0.0)
    up(leadership)
    leadership.hear(leader("far/1", 4, online=False), 0.0)
    (action,) = leadership.hear(event(Kind.DISPATCHER, None), 0.0)
    assert isinstance(action, StandDown)
    assert "left" in action.reason


def test_what_it_keeps_is_bounded_and_what_it_could_not_is_told() -> None:
    leadership, task = leading(), a_task()
    mark = up(leadership)
    for _ in range(MOST_KEPT + 10):
        leadership.hear(task, 0.0)
    actions = leadership.hear(mark, 0.0)
    assert len(passed(actions)) == MOST_KEPT
    assert Note("12 messages could not be kept while it was not known who leads") in actions


def test_a_claim_that_was_emptied_or_forged_is_said_again_at_most_once_a_second() -> None:
    leadership = leading(3)
    again = [Say(Kind.DISPATCHER, leadership.presence(online=True))]
    assert leadership.hear(leader("a/1", 1, online=True), 10.0) == again
    assert leadership.contested(10.2) == []
    for now, said in ((10.9, []), (11.0, again), (12.5, [])):
        leadership.worked(now)
        assert leadership.tick(now) == said
    assert leadership.contested(12.6) == again
