"""What a link can tell about a broker that is of no use, before anybody has waited long."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from swarm_tui.bus.port import Link
from swarm_tui.config.model import Broker, Layout
from swarm_tui.protocol.bodies import HostStatus
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor import host_link
from swarm_tui.supervisor.host_link import HostLink
from swarm_tui.supervisor.loop import Loop
from swarm_tui.supervisor.plan import Plan


@pytest.fixture
def link(tmp_path: Path) -> Iterator[HostLink]:
    loop = Loop(on_error=lambda error: None, on_stall=lambda seconds: None)
    broker = Broker(url="mqtt://127.0.0.1:1", username="ada", password="secret")
    plan = Plan(layout=Layout(swarm="s", broker=broker, agents=[]), path="", workdir="/", host="h", session="s")
    yield HostLink(plan, loop, on_event=lambda e: None, on_foreign=lambda a: None, on_link=lambda state: None)
    loop.close()


def later(link: HostLink, seconds: float) -> float:
    assert link.up_since is not None
    return link.up_since + seconds


def own_status(pid: int) -> Event:
    return Event(
        topic="s/hosts/h/status", kind=Kind.HOST_STATUS, key="h", id="1", at=0.0, received=0.0, sender="supervisor:h",
        role="supervisor", retained=False, payload={}, body=HostStatus(pid=pid),
    )  # fmt: skip


def test_a_password_that_is_refused_is_a_cause_and_a_broker_that_starts_is_none(link: HostLink) -> None:
    link._link(Link(False, "nothing listens on it", kind="refused"))
    assert link.cause(0.0) == ""
    link._link(Link(False, "it refuses the user 'ada'", kind="password"))
    assert link.cause(0.0) == "it refuses the user 'ada'"
    link._link(Link(True))
    assert link.cause(later(link, 0.1)) == ""


def test_a_refused_subscription_is_a_cause(link: HostLink) -> None:
    link._link(Link(True))
    link._link(Link(True, "the broker refuses a subscription", kind="forbidden"))
    assert "allow `s/#` to the user 'ada'" in link.cause(later(link, 0.0))


def test_a_broker_that_brings_nothing_back_is_told_by_our_own_voice(link: HostLink) -> None:
    link._link(Link(True))
    silent = later(link, host_link.ECHO_WITHIN + 0.1)
    assert link.cause(later(link, host_link.ECHO_WITHIN - 0.1)) == ""
    assert "brings nothing of it back" in link.cause(silent)
    link._event(own_status(os.getpid() + 1))
    assert link.cause(silent), "what a former supervisor left there proves nothing"
    link._event(own_status(os.getpid()))
    assert link.cause(silent) == ""
    assert "secret" not in link.cause(silent)


def test_connections_that_are_closed_at_once_are_a_cause(link: HostLink) -> None:
    for _ in range(host_link.SHORT_LINKS):
        assert link.cause(0.0) == ""
        link._link(Link(True))
        link._link(Link(False, "it closed the connection", kind="closed"))
    assert "closes it at once, again and again" in link.cause(0.0)
    link._link(Link(True))
    assert link.cause(later(link, host_link.SHORT_LINK + 0.1)) == ""
