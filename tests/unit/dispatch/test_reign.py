"""Who leads after a break of the connection: nothing is acted on until it is known that nobody newer led meanwhile."""

from swarm_tui.domain.dispatch.model import LinkUp
from swarm_tui.domain.dispatch.reign import MOST_EPOCH, MOST_KEPT, Reign
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
    reign, task = Reign("box/1", 3), a_task()
    assert reign.sift(task, marked=False) == [task]
    reign.sift(leader("far/1", 9, online=False), marked=False)
    assert reign.sift(task, marked=False) == [task]
    assert not reign.over


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
        reign = Reign("box/1", 3)
        reign.sift(leader(instance, epoch, online=online), marked=False)
        assert bool(reign.over) is goes, (instance, epoch, online)


def test_after_a_break_all_is_kept_until_what_is_retained_was_heard() -> None:
    reign, task, mark = Reign("box/1", 3), a_task(), event(Kind.INBOX, b.Inbox(command="ping"))
    reign.doubt(LinkUp())
    assert reign.sift(task, marked=False) == []
    assert reign.sift(leader("box/1", 3, online=False), marked=False) == []
    assert reign.sift(event(Kind.HEARTBEAT, b.Heartbeat(agent_id="w")), marked=False) == []
    assert reign.sift(mark, marked=True) == [LinkUp(), task, mark]
    assert not reign.doubts
    assert reign.sift(task, marked=True) == [task]


def test_it_acts_no_more_once_a_newer_one_led_though_that_is_away() -> None:
    reign = Reign("box/1", 3)
    reign.doubt(LinkUp())
    reign.sift(leader("far/1", 4, online=False), marked=False)
    assert reign.sift(a_task(), marked=True) == []
    # Said before that, and heard later over the other of its two connections.
    assert reign.sift(leader("box/1", 3, online=False), marked=True) == []
    assert reign.sift(leader("old/1", 2, online=True), marked=True) == []
    assert reign.doubts
    assert not reign.over
    reign.sift(leader("far/2", 5, online=True), marked=True)
    assert "far/2" in reign.over


def test_it_begins_anew_when_the_newer_one_left_in_order() -> None:
    reign = Reign("box/1", 3)
    reign.doubt(LinkUp())
    reign.sift(leader("far/1", 4, online=False), marked=True)
    reign.sift(event(Kind.DISPATCHER, None), marked=True)
    assert "left" in reign.over


def test_what_it_keeps_is_bounded() -> None:
    reign, task = Reign("box/1", 3), a_task()
    reign.doubt(LinkUp())
    for _ in range(MOST_KEPT + 10):
        reign.sift(task, marked=False)
    assert len(reign.sift(leader("box/1", 3, online=False), marked=True)) == MOST_KEPT
    assert reign.unkept == 11
