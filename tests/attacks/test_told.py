"""Whoever says a word that counts for nothing is told so by their own command, though the broker passes it on."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from swarm_tui.agent.handlers import registry
from swarm_tui.cli import existence, follow, halt, resume
from swarm_tui.cli.common import Failure, Target
from swarm_tui.client.operator import Operator
from swarm_tui.config.model import Broker
from swarm_tui.identity.keyring import GUEST, Keyring
from swarm_tui.protocol.topics import Kind
from tests.attacks import swarm as parts
from tests.attacks.swarm import SWARM, Swarm
from tests.wait import until

#: Runs `halt` or `resume` as whoever has these keys.
Act = Callable[..., int]


@pytest.fixture
def swarm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Swarm]:
    monkeypatch.setitem(registry.BUILTIN, "attacked", f"{parts.__name__}:Work")
    monkeypatch.setattr("swarm_tui.agent.runtime.STOP_WAIT", 0.05)
    monkeypatch.setattr("swarm_tui.agent.runtime.LEAVE_WAIT", 0.5)
    made = Swarm(tmp_path, guarded=True)
    yield made
    made.close()


@pytest.fixture
def act(swarm: Swarm, monkeypatch: pytest.MonkeyPatch) -> Act:
    """Run the command on the swarm's bus, deaf to what is said of halts if `deaf`."""
    found = Target(swarm=SWARM, broker=Broker(), state=swarm.state)

    def run(command: Any, *words: str, keys: Keyring = GUEST, deaf: bool = False) -> int:
        def connected(_: Target, timeout: float, *, before: Callable[[Operator], None], patience: float) -> Operator:
            operator = Operator(swarm._bus("somebody"), SWARM, user="mallory", host="x", keys=keys)
            before(operator)
            operator.start()
            assert operator.wait_link(timeout).up
            if deaf:
                sieve = operator.bus.publish
                monkeypatch.setattr(operator.bus, "publish", lambda m, *_: m.topic.endswith("/halt") or sieve(m, *_))
            return operator

        monkeypatch.setattr(follow, "connect", connected)
        for module in (halt, resume):
            monkeypatch.setattr(module, "target", lambda *_: found)
        return int(command.callback(*words, None, None))

    return run


def test_a_guest_who_halts_is_told_that_it_counts_for_nothing(swarm: Swarm, act: Act) -> None:
    with pytest.raises(Failure, match="is not halted: the dispatcher lets our word count for nothing") as told:
        act(halt.command, "evil")
    assert "--identity" in told.value.reason
    swarm.done(swarm.publish("after"))
    assert act(halt.command, "good", keys=swarm.person) == 0
    with pytest.raises(Failure, match=r"is halted as it was \(good\), and not by this: the dispatcher lets"):
        act(halt.command, "evil")
    with pytest.raises(Failure, match="is still halted: the dispatcher lets our word count for nothing"):
        act(resume.command)
    until(lambda: b'"good"' in swarm.retained(Kind.HALT), what="the halt to be said again")
    assert act(halt.command, "another", keys=swarm.person) == 0
    assert act(resume.command, keys=swarm.person) == 0
    swarm.done(swarm.publish("again"))


def test_a_word_that_the_broker_does_not_pass_on_is_no_halt_and_no_resume(
    swarm: Swarm, act: Act, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(existence, "HEARD_WITHIN", 0.2)
    with pytest.raises(Failure, match="is not halted: the broker did not pass it on"):
        act(halt.command, "good", keys=swarm.person, deaf=True)
    assert act(halt.command, "good", keys=swarm.person) == 0
    with pytest.raises(Failure, match=r"is halted as it was \(good\), and not by this: the broker did not pass it"):
        act(halt.command, "again", keys=swarm.person, deaf=True)
    with pytest.raises(Failure, match="is still halted: the broker did not pass it on"):
        act(resume.command, keys=swarm.person, deaf=True)


def test_a_dispatcher_that_does_not_answer_is_told(swarm: Swarm, act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(existence, "_TAKEN_WITHIN", 0.3)
    assert swarm.manager.shell is not None
    monkeypatch.setattr(swarm.manager.shell, "_answer", lambda event: None)
    began = time.monotonic()
    with pytest.raises(Failure, match="not halted, as far as is known: the dispatcher does not answer"):
        act(halt.command, "good", keys=swarm.person)
    assert time.monotonic() - began < 10
