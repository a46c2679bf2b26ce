"""What operators ask of a host goes on with who asked it."""

import threading
from collections import deque
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarm_tui.config.paths import StateDir
from swarm_tui.journal.pane_excerpt import unpacked
from swarm_tui.journal.pane_times import PaneTimes
from swarm_tui.protocol.bodies import HostControl, Inbox, Query
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor.host_commands import MOST_ASIDE, HostCommands
from tests.wait import until


def commands(sent: list[Any], state: StateDir | None = None) -> HostCommands:
    link = SimpleNamespace(
        host="here", publish=sent.append, writer=SimpleNamespace(message=lambda kind, body, key: (kind, body, key))
    )
    loop = SimpleNamespace(post=lambda call: call())
    units = {"docs-01": SimpleNamespace(agent_id="docs-01", presence=SimpleNamespace(incarnation="i1"))}
    nothing = cast(Any, None)
    return HostCommands(
        cast(Any, units), cast(Any, loop), cast(Any, link), nothing, nothing, cast(Any, state),
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


@pytest.mark.parametrize(
    ("args", "texts"),
    [
        ({"agent_id": "gone-01", "since": 2.0, "until": 9.0}, [b"a\n", b"b\n"]),
        ({"agent_id": "gone-01", "since": 2.0, "until": 9.0, "skip": 1}, [b"b\n"]),
        ({"agent_id": "gone-01", "since": 9.5, "until": 9.9, "skip": 1}, []),
        ({"agent_id": "none", "since": 2.0, "until": 9.0}, None),
        ({"agent_id": "../x", "since": 2.0, "until": 9.0}, None),
        ({"agent_id": "gone-01", "since": "then", "until": 9.0}, None),
        ({"agent_id": "gone-01", "since": 2.0, "until": 9.0, "skip": -1}, None),
        ({}, None),
    ],
)
def test_what_a_pane_printed_is_told_by_the_host_that_has_its_log(
    tmp_path: Path, args: dict[str, Any], texts: list[bytes] | None
) -> None:
    state = StateDir(tmp_path)
    state.logs.mkdir()
    log, times = state.log("gone-01"), PaneTimes()
    for second, text in ((1, b"a\n"), (3, b"b\n")):
        with log.open("ab") as file:
            file.write(text)
        times.note(log, log.stat().st_size, float(second))
    sent: list[Any] = []
    host = commands(sent, state)
    event = Event(
        topic="s/operators/c/query", kind=Kind.QUERY, key="c", id="1", at=0.0, received=0.0,
        sender="ada@devbox", role="operator", body=Query(query="printed", args=args), payload={},
    )  # fmt: skip
    host.hear(event)
    until(lambda: not any(thread.name == "aside" for thread in threading.enumerate()), 5)
    found = [[text for _, text in unpacked(body.rows)[0]] for _, body, _ in sent]
    assert found == ([] if texts is None else [texts])


def test_whoever_asks_for_very_many_takes_no_more_threads_than_a_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, most = threading.Event(), threading.active_count() + MOST_ASIDE

    def slow(*_: object) -> list[str]:
        goes_on.wait(5.0)
        return ["row"]

    monkeypatch.setattr("swarm_tui.supervisor.host_commands.answer", slow)
    sent: list[Any] = []
    host = commands(sent, StateDir(tmp_path))
    calls: deque[Callable[[], None]] = deque()
    cast(Any, host.loop).post = calls.append

    def ask(number: int) -> None:
        host.hear(
            Event(
                topic="s/operators/c/query", kind=Kind.QUERY, key="c", id=str(number), at=0.0, received=0.0,
                sender="ada@devbox", role="operator", body=Query(query="diff", args={}), payload={},
            )
        )  # fmt: skip

    for number in range(5 * MOST_ASIDE):
        ask(number)
    assert threading.active_count() <= most
    goes_on.set()
    until(lambda: len(calls) == MOST_ASIDE, what="those that were taken to be answered")
    while calls:
        calls.popleft()()
    ask(-1)
    until(lambda: len(calls) == 1, what="one that asks afterwards to be answered")
    calls.popleft()()
    assert len(sent) == MOST_ASIDE + 1
