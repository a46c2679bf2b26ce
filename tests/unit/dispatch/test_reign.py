"""Who leads after a break of the connection: nothing is acted on until it is known that nobody newer led meanwhile."""

from swarm_tui.domain.dispatch.leadership import MOST_EPOCH, MOST_KEPT, Leadership
from swarm_tui.domain.dispatch.model import LinkUp
from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind

WRITER = Writer("s", "x", "general", new_id=lambda: "id", clock=lambda: 0.0)


def event(kind: Kind, body: b.Body | None) -> Event:
    message = WRITER.message(kind, body) if body is not None else WRITER.clear(kind)
    heard = decode("s", message.topic, message.payload, False, 0.0)
    assert isinstance(heard, Event)
    return heard


def leader(instance: str, epoch: int, *, online: bool) -> Event:
    return event(Kind.DISPATCHER, b.Dispatcher(instance=instance, epoch=epoch, online=online))


def a_task(task_id: str = "t") -> Event:
    return event(Kind.TASK_NEW, b.Task(task_id=task_id, type="noop"))


def test_what_comes_is_acted_on_at_once_while_the_connection_lasts() -> None:
    leadership, task = Leadership("box/1", 3), a_task()
    assert leadership.sift(task, marked=False) == [task]
    leadership.sift(leader("far/1", 9, online=False), marked=False)
    assert leadership.sift(task, marked=False) == [task]
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
        leadership = Leadership("box/1", 3)
        leadership.sift(leader(instance, epoch, online=online), marked=False)
        assert bool(leadership.over) is goes, (instance, epoch, online)


def test_after_a_break_all_is_kept_until_what_is_retained_was_heard() -> None:
    leadership, task, mark = Leadership("box/1", 3), a_task(), event(Kind.INBOX, b.Inbox(command="ping"))
    leadership.doubt(LinkUp())
    assert leadership.sift(task, marked=False) == []
    assert leadership.sift(leader("box/1", 3, online=False), marked=False) == []
    assert leadership.sift(event(Kind.HEARTBEAT, b.Heartbeat(agent_id="w")), marked=False) == []
    assert leadership.sift(mark, marked=True) == [LinkUp(), task, mark]
    assert not leadership.doubts
    assert leadership.sift(task, marked=True) == [task]


def test_it_acts_no_more_once_a_newer_one_led_though_that_is_away() -> None:
    leadership = Leadership("box/1", 3)
    leadership.doubt(LinkUp())
    leadership.sift(leader("far/1", 4, online=False), marked=False)
    assert leadership.sift(a_task(), marked=True) == []
    # Said before that, and heard later over the other of its two connections.
    assert leadership.sift(leader("box/1", 3, online=False), marked=True) == []
    assert leadership.sift(leader("old/1", 2, online=True), marked=True) == []
    assert leadership.doubts
    assert not leadership.over
    leadership.sift(leader("far/2", 5, online=True), marked=True)
    assert "far/2" in leadership.over


def test_it_begins_anew_when_the_newer_one_left_in_order() -> None:
    leadership = Leadership("box/1", 3)
    leadership.doubt(LinkUp())
    leadership.sift(leader("far/1", 4, online=False), marked=True)
    leadership.sift(event(Kind.DISPATCHER, None), marked=True)
    assert "left" in leadership.over


def test_what_it_keeps_is_bounded() -> None:
    leadership, task = Leadership("box/1", 3), a_task()
    leadership.doubt(LinkUp())
    for _ in range(MOST_KEPT + 10):
        leadership.sift(task, marked=False)
    assert len(leadership.sift(leader("box/1", 3, online=False), marked=True)) == MOST_KEPT
    assert leadership.unkept == 11
