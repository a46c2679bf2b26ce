"""What operators ask of a host goes on with who asked it."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarm_tui.protocol.bodies import HostControl, Inbox
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor.host_commands import HostCommands


def commands(sent: list[Any]) -> HostCommands:
    link = SimpleNamespace(
        publish=sent.append, writer=SimpleNamespace(message=lambda kind, body, key: (kind, body, key))
    )
    units = {"docs-01": SimpleNamespace(agent_id="docs-01", presence=SimpleNamespace(incarnation="i1"))}
    nothing = cast(Any, None)
    return HostCommands(
        cast(Any, units), nothing, cast(Any, link), nothing, nothing, nothing,
        rows=list, say=lambda *words: None, forget=lambda name: None,
    )  # fmt: skip


@pytest.mark.parametrize(("given", "said"), [("", "asked by ada@devbox"), ("it is too warm", "it is too warm")])
def test_a_drain_says_in_the_inbox_who_asked_where_no_reason_was_given(given: str, said: str) -> None:
    sent: list[Any] = []
    body = HostControl(command="drain", agent_id="docs-01", reason=given)
    event = Event(
        topic="s/hosts/here/control", kind=Kind.HOST_CONTROL, key="here", id="1", at=0.0, received=0.0,
        sender="ada@devbox", role="operator", body=body, payload={},
    )  # fmt: skip
    commands(sent).hear(event)
    assert sent == [(Kind.INBOX, Inbox(command="drain", reason=said, incarnation="i1"), "docs-01")]
