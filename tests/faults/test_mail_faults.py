"""Mail between agents in real processes that are killed: none is lost, none is read twice, each has its receipts."""

import os
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from swarm_tui.config.model import HandlerSpec, TypeRule
from swarm_tui.domain.mail.model import Mail
from swarm_tui.protocol.bodies import Task
from tests.conftest import RealBroker
from tests.faults.engine_swarm import POINTS, FaultySwarm
from tests.faults.mail_handlers import installed_in
from tests.faults.producer import pause
from tests.wait import until

WORKERS = ("w0", "w1", "w2")
TYPE = "mail.work"


@pytest.fixture
def make_swarm(
    make_broker: Callable[..., RealBroker], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], FaultySwarm]]:
    made: list[FaultySwarm] = []
    installed_in(tmp_path / "dist")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'dist'}{os.pathsep}{Path(__file__).parents[2]}")

    def make() -> FaultySwarm:
        seed = int(os.environ.get("SWARM_FAULT_SEED", "1"))
        swarm = FaultySwarm(
            make_broker(), tmp_path, seed=seed,
            types={TYPE: TypeRule(roles=["general"], max_attempts=100)}, handlers={TYPE: HandlerSpec()},
        )  # fmt: skip
        made.append(swarm)
        return swarm

    yield make
    for swarm in made:
        swarm.close()


def mails(swarm: FaultySwarm) -> dict[str, Mail]:
    """The messages, read beside the dispatcher."""
    if not swarm.dispatch.exists():
        return {}
    db = sqlite3.connect(f"file:{swarm.dispatch}?mode=ro", uri=True, timeout=5)
    try:
        rows = db.execute("SELECT body FROM mail").fetchall()
    finally:
        db.close()
    return {mail.message_id: mail for (raw,) in rows for mail in [msgspec.msgpack.decode(raw, type=Mail)]}


def live(swarm: FaultySwarm, folder: Path, messages: int, victims: list[str]) -> None:
    """`messages` go between three agents while the victims die, one after another."""
    until(lambda: swarm.led, 30, "the dispatcher to lead")
    over, each = folder / "over", messages // len(WORKERS)
    for name in WORKERS:
        payload = {"count": each, "to": [w for w in WORKERS if w != name], "folder": str(folder), "over": str(over)}
        task = Task(task_id=f"mail-{name}", type=TYPE, payload=payload, assigned_to=name)
        swarm.publications.append(swarm.operator.submit(task, accept_timeout=300.0))
    until(lambda: len(mails(swarm)) > each // 10, 60, "the first messages to be accepted")
    for victim in victims:
        pause(0.5)
        if victim == "broker":
            swarm.broker.kill()
            swarm.broker.start()
        elif victim in POINTS:
            swarm.kill_at(victim)
        else:
            swarm.kill(victim)
        swarm.revive()
    swarm.flag.unlink(missing_ok=True)

    def all_is_read() -> bool:
        swarm.revive()
        known = mails(swarm)
        sent = [mail for mail in known.values() if not mail.reply_to]
        return len(sent) == each * len(WORKERS) and all(mail.ended for mail in known.values())

    try:
        until(all_is_read, 240, "all mail to be read")
    except AssertionError as error:
        states = Counter(r.state for mail in mails(swarm).values() for r in mail.receivers.values())
        raise AssertionError(f"{error}: {dict(states)}\n{swarm.story()}") from None
    over.touch()
    swarm.settle(120)
    check(swarm, folder, each * len(WORKERS))


def check(swarm: FaultySwarm, folder: Path, messages: int) -> None:
    """Each is read once by whom it is for, and its receipts say so."""
    known = mails(swarm)
    read = Counter((path.stem, line) for path in folder.glob("*.read") for line in path.read_text().split())
    twice = {one: count for one, count in read.items() if count > 1}
    assert not twice, f"read twice: {twice}"
    receipts = {(agent, mail.message_id): r.state for mail in known.values() for agent, r in mail.receivers.items()}
    assert set(read) <= set(receipts)
    assert set(receipts.values()) <= {"read", "answered"}, Counter(receipts.values())
    # A reader that dies between its mailbox's word and its own has it all the same.
    unnoted = set(receipts) - set(read)
    killed = sum(count for name, count in swarm.kills.items() if name == "w")
    assert len(unnoted) <= killed, f"{len(unnoted)} were handed over and not noted: {sorted(unnoted)[:5]}"
    asked = [mail for mail in known.values() if mail.expects_answer]
    answers = {mail.reply_to for mail in known.values() if mail.reply_to}
    unanswered = [mail.message_id for mail in asked if mail.message_id not in answers]
    assert set(unanswered) <= {message_id for _, message_id in unnoted}, f"never answered: {unanswered}"
    print(
        f"{messages} messages and {len(answers)} answers, {len(read)} readings, kills {dict(swarm.kills)}, "
        f"{len(unnoted)} not noted by a reader that died"
    )


def test_no_mail_is_lost_or_read_twice_when_processes_are_killed(
    make_swarm: Callable[[], FaultySwarm], tmp_path: Path
) -> None:
    live(make_swarm(), tmp_path, 150, ["w0", "tm", "broker", "w1", "after-commit"])


@pytest.mark.drill
def test_a_thousand_messages_while_everything_is_killed(make_swarm: Callable[[], FaultySwarm], tmp_path: Path) -> None:
    victims = ["w0", "tm", "after-commit", "w1", "broker", "w2", "before-commit", "tm", "after-publish"] * 3
    live(make_swarm(), tmp_path, 1002, victims)
