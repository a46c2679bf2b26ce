"""Conversations with AI agents while every part of the swarm is killed: each ends, nothing is paid or allowed twice.

The CLI is the small ACP agent, whose session files are what a model's server would know: prompts, and what it billed.
"""

import json
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
import pytest

from swarm_tui.broker.mosquitto import EmbeddedBroker
from swarm_tui.cli.common import target
from swarm_tui.cli.follow import Follower
from swarm_tui.config.paths import broker_dir
from swarm_tui.domain.dispatch import Job
from swarm_tui.domain.dispatch.metering import cost_of, total
from swarm_tui.domain.states import TaskState
from swarm_tui.protocol.ask_bodies import AskAnswer, AskRecorded
from swarm_tui.protocol.bodies import Task, TaskAct
from swarm_tui.protocol.envelope import Event, Rejected
from swarm_tui.protocol.rows import ask_rows
from swarm_tui.protocol.topics import Kind
from tests.conftest import pick_port
from tests.e2e.conversation_swarm import AGENT, talker
from tests.e2e.supervised_swarm import Swarm, own
from tests.faults.producer import Producer
from tests.wait import until

WORKERS = 3
#: Dollars that one call of the model costs: tests/acp_agent.py.
CALL = 0.001


class Office:
    """A swarm of workers that converse, a person who answers, and somebody who kills."""

    def __init__(self, folder: Path, **layout: object) -> None:
        self.home, self.work, self.log = folder / "home", folder / "work", folder / "ran"
        self.work.mkdir()
        allow = ["Bash"] if layout.pop("free", True) else []
        kind = str(layout.pop("kind", "claude"))
        entries = [talker(f"w{n}", self.home, kind, allow=allow) | {"capacity": 2} for n in range(WORKERS)]
        self.swarm = Swarm(folder, pick_port(), [own("tm", "task-manager"), *entries], workdir=str(self.work), **layout)
        self.swarm.up()
        self.person = Follower(target(self.swarm.name), 20.0)
        self.recorded: dict[str, set[tuple[str, str]]] = {}
        self.wishes: dict[str, str] = {}
        """Ask to what it is about."""
        self.answers: Counter[str] = Counter()
        """Wish to how often the person said yes and that was written down."""
        self.kills: Counter[str] = Counter()
        self.person.operator.on_event(self._hear)
        until(lambda: self.person.fleet.dispatcher is not None, 20, "somebody to lead")

    def _hear(self, event: Event | Rejected) -> None:
        if isinstance(event, Event) and isinstance(event.body, AskRecorded) and not event.body.kept:
            self.recorded.setdefault(event.key, set()).add((event.body.outcome, event.body.by))

    def publish(self, task_id: str, prompt: str) -> None:
        self.person.operator.submit(Task(task_id=task_id, type="agent-cli", payload={"prompt": prompt}))

    def jobs(self) -> dict[str, Job]:
        return Producer.jobs(self)  # type: ignore[arg-type]

    def day(self) -> dict[str, float]:
        """What the dispatcher says of the day's budget."""
        told = json.loads(self.swarm.run("status", self.swarm.name, "--json").stdout)
        budget: dict[str, float] = told["usage_today"]["budget"]
        return budget

    @property
    def dispatch(self) -> Path:
        return self.swarm.state.dispatch

    def kill(self, victim: str, rng: Random) -> None:
        """Kill a part as it runs now; what is not there is dead enough."""
        pid: int | None = None
        if victim == "broker":
            pid = EmbeddedBroker(self.swarm.port, broker_dir(self.swarm.port)).pid()
        elif victim == "supervisor":
            pid = self.swarm.saved().pid
        elif victim == "cli":
            pid = rng.choice(clis(self.swarm) or [0])
        else:
            pid = self.swarm.pids().get(victim)
        with suppress(ProcessLookupError):
            if pid:
                os.kill(pid, signal.SIGKILL)
                self.kills[victim] += 1

    def answer(self, rng: Random) -> None:
        """Answer what waits, as its number says: an even one is allowed. Asked of the dispatcher: words may be lost."""
        reply = self.person.operator.query("asks", timeout=1.0)
        for row in ask_rows(reply.rows if reply is not None else ()):
            self.wishes[row.ask_id] = row.title
            outcome = "allow" if number_of(row.title) % 2 == 0 else "deny"
            self.person.operator.act(Kind.ASK_ANSWER, AskAnswer(outcome=outcome), row.ask_id)  # type: ignore[arg-type]

    def redrive(self, jobs: dict[str, Job]) -> None:
        """A person has tried again what took its agents with it, as far as anybody knows."""
        for job in jobs.values():
            if job.state in (TaskState.DEAD, TaskState.HELD) and not unpaid(job):
                self.person.operator.act(Kind.TASK_REDRIVE, TaskAct(task_id=job.task_id))

    def run(
        self, tasks: dict[str, str], rng: Random, *, every: float, limit: float, asks: bool, most: int = 1000
    ) -> dict[str, Job]:
        """Have all done while parts are killed at random, each as often as any other, `most` in all; the records."""
        for task_id, prompt in tasks.items():
            self.publish(task_id, prompt)
        parts = ["broker", "supervisor", "tm", *["cli"] * 2, *(f"w{n}" for n in range(WORKERS))]
        left: list[str] = []
        end, due, redrive = time.monotonic() + limit, time.monotonic() + 1.0, 0.0
        while time.monotonic() < end:
            jobs = self.jobs()
            if len(jobs) == len(tasks) and all(over(job) for job in jobs.values()):
                return jobs
            if time.monotonic() >= due and self.kills.total() < most and time.monotonic() < end - limit / 2:
                left = left or rng.sample(parts, len(parts))
                self.kill(left.pop(), rng)
                due = time.monotonic() + rng.uniform(every / 2, every * 1.5)
            if asks:
                self.answer(rng)
            if time.monotonic() - redrive > 3.0:
                redrive = time.monotonic()
                self.redrive(jobs)
            time.sleep(0.05)
        states = Counter(f"{job.state}: {job.reason[:60]}" for job in self.jobs().values())
        raise AssertionError(f"not all ended within {limit:.0f} s: {states}, of {len(tasks)}; kills {self.kills}")

    def ran(self) -> Counter[str]:
        """How often each step's tool was run."""
        return Counter(self.log.read_text().split()) if self.log.exists() else Counter()

    def bills(self) -> dict[str, dict[str, object]]:
        """What the server knows, by session."""
        return {path.stem: json.loads(path.read_text()) for path in self.home.glob("*.json") if path.stem != "servers"}

    def close(self) -> None:
        self.person.operator.close()
        self.swarm.run("down", self.swarm.name, "--now")
        self.swarm.close()


def over(job: Job) -> bool:
    return (job.ended and job.state is not TaskState.DEAD) or unpaid(job)


def unpaid(job: Job) -> bool:
    """Whether it waits for money alone."""
    return job.state is TaskState.HELD and "policy.budget" in job.reason


def number_of(title: str) -> int:
    return int(title.split()[1].partition(".")[2])


def clis(swarm: Swarm) -> list[int]:
    """The CLIs that run now, below the swarm's agents."""
    found = []
    for process in swarm.processes():
        with suppress(psutil.Error):
            found += [
                child.pid for child in process.children(recursive=True) if any(str(AGENT) == w for w in child.cmdline())
            ]
    return list(set(found))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Office]]:
    made: list[Office] = []

    def build(**layout: object) -> Office:
        made.append(Office(tmp_path, **layout))
        return made[-1]

    yield build
    for office in made:
        with suppress(Exception):
            office.close()
        office.swarm.close()


def talks(office: Office, count: int, turns: int, tool: float = 0.2) -> dict[str, str]:
    """So many conversations; each of their turns runs a tool that leaves a mark and takes so many seconds."""
    return {
        f"t{n}": " ".join(f"[[run echo t{n}.{turn} >> {office.log}; sleep {tool}]]" for turn in range(turns))
        + f" [[say t{n} is done.]]"
        for n in range(count)
    }


def check_resumed(office: Office, jobs: dict[str, Job], turns: int) -> str:
    """Each has ended well, in one session, paid as billed; what ran twice was cut off in the middle, and told so."""
    ran, bills = office.ran(), office.bills()
    sessions: Counter[int] = Counter()
    twice = unknown = 0
    for task_id, job in jobs.items():
        assert job.state is TaskState.COMPLETE, f"{task_id}: {job.state}: {job.reason}"
        mine = {name: bill for name, bill in bills.items() if f"{task_id}.0 " in str(bill["prompts"])}
        sessions[len(mine)] += 1
        assert {f"{task_id}.{turn}" for turn in range(turns)} <= set(ran)
        cut_off = sum("was cut off" in prompt for bill in mine.values() for prompt in bill["prompts"])  # type: ignore[attr-defined]
        again = sum(ran[f"{task_id}.{turn}"] - 1 for turn in range(turns))
        assert again <= cut_off, (
            f"{task_id}: {again} tools ran again, and it was told {cut_off} times that it was cut off"
        )
        twice += again
        billed = sum(float(bill["cost"]) for bill in mine.values())  # type: ignore[arg-type]
        used = total(job)
        # What a killed one took is in its log; a call that was under way then is not, and that is said.
        missing = round(billed / CALL) - used.tokens_in // 100
        assert 0 <= missing <= cut_off, f"{task_id}: {used}, billed {billed}"
        assert used.partial or not missing, f"{task_id}: {used}, billed {billed}"
        # What it had told of its cost before, it may know better than its log.
        assert billed - missing * CALL - 1e-6 <= (used.cost or 0.0) <= billed + 1e-6, f"{task_id}: {used}, {billed}"
        unknown += missing
    attempts = sum(len(job.attempts) for job in jobs.values())
    assert set(sessions) == {1}, f"sessions of a task: {sessions}"
    known = f"{twice} tools run again, {unknown} calls untold"
    return f"{len(jobs)} conversations, {attempts} attempts, {known}, kills {dict(office.kills)}"


def check_budget(office: Office, jobs: dict[str, Job], turn: float) -> str:
    """What the server billed is within the budget, and a turn for each that was ended; nothing stays reserved."""
    bills, spent, lost = office.bills(), 0.0, []
    for task_id, job in jobs.items():
        mine = [float(bill["cost"]) for bill in bills.values() if f"{task_id}.0 " in str(bill["prompts"])]  # type: ignore[arg-type]
        spent += sum(mine)
        assert sum(mine) <= TASK + turn + 1e-9, f"{task_id} took {mine}: {job}"
        if (counted := sum(map(cost_of, job.attempts))) < sum(mine) - 1e-6:
            lost.append(f"{task_id}: billed {sum(mine):.3f}, counted {counted:.3f}: {job.attempts}")
    assert not lost, "\n".join(lost)
    assert spent > DAY / 2, f"hardly anything was done: {[job.reason for job in jobs.values()]}"
    # So many may be at their last turn side by side.
    assert spent <= DAY + 2 * WORKERS * turn + 1e-9
    until(lambda: office.day()["reserved"] == 0, 10, "that nothing is reserved any more")
    day = office.day()
    known = sum(total(job).cost or 0.0 for job in jobs.values())
    assert day["spent_day"] >= spent - 1e-6, f"{day}, but the server billed {spent}"
    states = Counter(str(job.state) for job in jobs.values())
    return f"billed {spent:.3f}, told {known:.3f}, {day}, {dict(states)}, kills {dict(office.kills)}"


def check_asked(office: Office, jobs: dict[str, Job]) -> str:
    """Each ask has one outcome, and what ran had a yes of its own."""
    ran, asked = office.ran(), Counter[str]()
    yes: Counter[str] = Counter()
    for job in jobs.values():
        assert job.ended
        for hop in job.hops:
            asked[hop.detail.partition(": ")[2]] += hop.what == "asked"
            yes[hop.detail.partition(" >>")[0].rpartition(" ")[2]] += hop.what == "allowed" and bool(hop.by)
        assert not any(question.outcome == "" for question in job.questions)
    for ask_id, outcomes in office.recorded.items():
        assert len({outcome for outcome, _ in outcomes}) == 1, (ask_id, outcomes)
    for wish, times in ran.items():
        assert times <= yes[wish], f"{wish} ran {times} times, with {yes[wish]} yes"
        assert int(wish.partition(".")[2]) % 2 == 0, f"{wish} was denied, and ran"
    return f"{sum(asked.values())} asks, {sum(yes.values())} allowed, {sum(ran.values())} ran, {dict(office.kills)}"


def test_conversations_end_in_one_session_though_parts_are_killed(make: Callable[..., Office]) -> None:
    """The short form of the drill below."""
    office = make()
    jobs = office.run(talks(office, 6, 8), Random(1), every=1.0, limit=150, asks=False, most=8)
    print(check_resumed(office, jobs, 8))
    assert office.kills.total() >= 2


def test_asks_are_answered_once_though_parts_are_killed(make: Callable[..., Office]) -> None:
    """The short form of the drill below."""
    office = make(free=False)
    jobs = office.run(talks(office, 6, 2), Random(2), every=0.7, limit=150, asks=True, most=8)
    print(check_asked(office, jobs))


@pytest.mark.drill
def test_fifty_conversations_of_twenty_turns_end_while_all_parts_are_killed(make: Callable[..., Office]) -> None:
    """SWARM_FAULT_SEED draws the order again."""
    seed = int(os.environ.get("SWARM_FAULT_SEED", str(time.time_ns())))
    print(f"SWARM_FAULT_SEED={seed}")
    office = make()
    jobs = office.run(talks(office, 50, 20), Random(seed), every=2.5, limit=600, asks=False)
    print(check_resumed(office, jobs, 20))


def check_unfollowed(office: Office, count: int, rng: Random) -> str:
    """Kill the agents of conversations that are cancelled then: each is paid as billed, though nobody goes on."""
    for n in range(count):
        office.publish(f"k{n}", " ".join(f"[[run echo k{n}.{turn} >> {office.log}; sleep 0.1]]" for turn in range(100)))
        begun = office.ran().total()
        until(lambda begun=begun: office.ran().total() > begun, 30, "a conversation to be under way")  # type: ignore[misc]
        time.sleep(rng.uniform(0.0, 0.6))  # The moment of the kill is what is tried.
        job = office.jobs()[f"k{n}"]
        assert job.agent_id is not None
        office.kill(job.agent_id, rng)
        office.person.operator.act(Kind.TASK_CANCEL, TaskAct(task_id=f"k{n}"))
        until(lambda n=n: office.jobs()[f"k{n}"].ended, 40, "it to be cancelled")  # type: ignore[misc]

    def told() -> bool:
        return all(attempt.told for job in office.jobs().values() for attempt in job.attempts if attempt.turn)

    until(told, 60, "all to be told")
    jobs, bills, unknown = office.jobs(), office.bills(), 0
    for task_id, job in jobs.items():
        mine = [bill for bill in bills.values() if f"{task_id}.0 " in str(bill["prompts"])]
        billed, used = sum(float(bill["cost"]) for bill in mine), total(job)  # type: ignore[arg-type]
        missing = round(billed / CALL) - used.tokens_in // 100
        assert 0 <= missing <= len(job.attempts), f"{task_id}: {used}, billed {billed}: {job.attempts}"
        assert used.partial or not missing, f"{task_id}: {used}, billed {billed}: {job.attempts}"
        assert billed - missing * CALL - 1e-6 <= (used.cost or 0.0) <= billed + 1e-6, f"{task_id}: {used}, {billed}"
        unknown += missing
    attempts = sum(len(job.attempts) for job in jobs.values())
    return f"{len(jobs)} conversations, {attempts} attempts, {unknown} calls untold, kills {dict(office.kills)}"


def test_what_a_killed_agent_took_is_told_though_nobody_goes_on(make: Callable[..., Office]) -> None:
    """The short form of the drill below."""
    print(check_unfollowed(make(), 2, Random(3)))


@pytest.mark.drill
@pytest.mark.parametrize("kind", ["claude", "codex"])
def test_fifty_killed_conversations_are_told_though_nobody_goes_on(make: Callable[..., Office], kind: str) -> None:
    """SWARM_FAULT_SEED draws the moments again."""
    seed = int(os.environ.get("SWARM_FAULT_SEED", str(time.time_ns())))
    print(f"SWARM_FAULT_SEED={seed}")
    print(check_unfollowed(make(kind=kind), 50, Random(seed)))


#: Model calls of a turn of those below, after which alone `codex` tells what it took.
TURN = {"claude": 1, "codex": 11}
#: Dollars that a task may take, and all of them: a third of what they would.
TASK, DAY = 0.006, 0.4
#: Times that something is killed meanwhile, at the least.
KILLS = 50


@pytest.mark.drill
@pytest.mark.parametrize("kind", ["claude", "codex"])
def test_no_crash_spends_more_than_the_budget_and_a_turn(make: Callable[..., Office], kind: str) -> None:
    """SWARM_FAULT_SEED draws the order again. `codex` never tells a cost: its price gives it, once it tells tokens."""
    seed = int(os.environ.get("SWARM_FAULT_SEED", str(time.time_ns())))
    print(f"SWARM_FAULT_SEED={seed}")
    office = make(kind=kind, policy={"budget": {"task": TASK, "day": DAY}})
    jobs = office.run(talks(office, 100, 10, 1.0), Random(seed), every=1.0, limit=500, asks=False, most=80)
    print(check_budget(office, jobs, TURN[kind] * CALL))
    assert office.kills.total() >= KILLS, office.kills


@pytest.mark.drill
def test_a_hundred_asks_are_answered_once_while_all_parts_are_killed(make: Callable[..., Office]) -> None:
    """SWARM_FAULT_SEED draws the order again."""
    seed = int(os.environ.get("SWARM_FAULT_SEED", str(time.time_ns())))
    print(f"SWARM_FAULT_SEED={seed}")
    office = make(free=False)
    jobs = office.run(talks(office, 50, 2), Random(seed), every=2.5, limit=600, asks=True)
    print(check_asked(office, jobs))
