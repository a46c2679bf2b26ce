"""A conversation whose agent is killed and that nobody goes on with: what it took is read in its log, and said."""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarm_tui.agent.conversation.open_conversation import read
from swarm_tui.agent.usage_desk import AGAIN, KEPT, OTHERS_AFTER, UsageDesk
from swarm_tui.domain.usage import Price
from swarm_tui.domain.worker.actions import HeldLease
from swarm_tui.protocol.bodies import AttemptUsage, Inbox, Task
from tests.acp_agent import CALL, LOG
from tests.unit.conversation.conftest import NAMES, Talk
from tests.wait import until

#: A price at which one call of the small agent, 100 tokens in and 10 out, costs what its server bills.
PRICES = {"m": Price(tokens_in=CALL * 1e6 / 110, tokens_out=CALL * 1e6 / 110)}


class Agents:
    """Agents of one host, which look after what those left that were killed."""

    def __init__(self, state: Path) -> None:
        self.state, self.now, self.up = state, 100.0, True
        self.said: list[AttemptUsage] = []

    def desk(self, name: str) -> UsageDesk:
        reporter = SimpleNamespace(
            say=lambda kind, body: self.said.append(body), bus=SimpleNamespace(is_up=lambda: self.up)
        )
        return UsageDesk(cast("Any", reporter), name, self.state, lambda: self.now)

    def records(self) -> list[Path]:
        return sorted((self.state / "conversations").glob("*.json"))

    def look(self, desk: UsageDesk, seconds: float = AGAIN) -> list[AttemptUsage]:
        """Let time pass; what the agent then says."""
        self.said, self.now = [], self.now + seconds
        desk.tick(self.now)
        until(lambda: not desk.is_reading, 10, "it to have read")
        return self.said


@pytest.fixture
def killed(talk: Talk, tmp_path: Path) -> Agents:
    """A host on which a conversation was killed: its record as it was within it, with another process."""
    return leave(talk, tmp_path, "codex")


def leave(talk: Talk, folder: Path, name: str, calls: int = 3) -> Agents:
    steps = "".join(f"[[run echo {n}]] " for n in range(calls))
    mark = folder / "now"
    state = folder / "state"

    def ready() -> bool:
        if mark.exists() and not state.exists():
            assert talk.context is not None
            shutil.copytree(talk.context.state_dir / "conversations", state / "conversations")
            for file in talk.home.glob("*.log"):
                shutil.copy(file, folder / f"{file.name}.then")
        return state.exists()

    with pytest.raises(Exception, match="cancelled"):
        talk(name, f"{steps}[[note {mark}]] [[slow 20]]", prices=PRICES, log=LOG, ready=ready)
    for then in folder.glob("*.then"):
        # As a kill would have left it.
        then.replace(talk.home / then.stem)
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for record in (state / "conversations").glob("*.json"):
        text = record.read_text().replace(f'"pid":{read(record).pid}', f'"pid":{dead.pid}')
        record.write_text(text)
    return Agents(state)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_killed_conversation_took_is_what_its_server_billed(talk: Talk, tmp_path: Path, name: str) -> None:
    agents = leave(talk, tmp_path, name)
    billed = sum(file.read_text().count('"answer"') for file in talk.home.glob("*.log"))
    (said,) = agents.look(agents.desk("agent-01"))
    assert (said.worker, said.attempt, said.usage["tokens_in"]) == ("agent-01", 1, 100 * billed)
    assert said.usage["cost"] == pytest.approx(billed * CALL)
    assert billed >= 4


def test_it_is_said_until_it_is_confirmed_and_then_no_more(killed: Agents) -> None:
    desk = killed.desk("agent-01")
    killed.up = False
    assert not killed.look(desk)
    killed.up = True
    assert len(killed.look(desk)) == len(killed.look(desk)) == 1
    desk.heard(Inbox(command="ack", task_id="t-1", attempt=2))
    assert len(killed.look(desk)) == 1, "that was of another attempt"
    desk.heard(Inbox(command="ack", task_id="t-1", attempt=1))
    assert not killed.look(desk)
    assert not killed.records()


def test_another_agent_of_the_host_speaks_for_one_that_does_not_come_back(killed: Agents) -> None:
    other = killed.desk("other")
    assert not killed.look(other), "its own next life comes first"
    assert [(said.agent_id, said.worker) for said in killed.look(other, OTHERS_AFTER)] == [("other", "agent-01")]


def test_a_conversation_that_goes_on_is_nobodys(killed: Agents) -> None:
    (record,) = killed.records()
    gone = read(record)
    living = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        from swarm_tui.agent.process_groups import start_time

        text = record.read_text().replace(f'"pid":{gone.pid}', f'"pid":{living.pid}')
        record.write_text(text.replace(gone.started, start_time(living.pid)))
        assert not killed.look(killed.desk("agent-01"), OTHERS_AFTER * 2)
    finally:
        living.communicate()
    assert len(killed.look(killed.desk("agent-01"))) == 1


@pytest.mark.parametrize("text", ["", "{}", "no JSON", '{"task_id": 7}', '{"pid": 1}'])
def test_a_record_that_cannot_be_read_is_passed_over(killed: Agents, text: str) -> None:
    (record,) = killed.records()
    record.with_name("0.json").write_text(text)
    assert len(killed.look(killed.desk("agent-01"))) == 1


def test_a_record_that_nobody_could_use_for_a_week_is_thrown_away(killed: Agents) -> None:
    (record,) = killed.records()
    for path in (record, record.with_name("0.json")):
        path.write_text(path.read_text() if path.exists() else "no JSON")
        os.utime(path, (time.time() - KEPT - 60,) * 2)
    assert not killed.look(killed.desk("agent-01"))
    assert not killed.records()


def test_a_log_that_is_gone_says_nothing_and_is_looked_for_no_more(killed: Agents, talk: Talk) -> None:
    for file in talk.home.glob("*.log"):
        file.unlink()
    assert not killed.look(killed.desk("agent-01"))
    assert not killed.records()


def test_an_attempt_that_told_its_end_leaves_no_record(killed: Agents) -> None:
    lease = HeldLease(task=Task(task_id="t-1", type="x"), attempt=1, epoch=read(killed.records()[0]).epoch)
    killed.desk("agent-01").forget(cast("Any", SimpleNamespace(lease=lease)))
    assert not killed.records()
