"""All that the screen knows: the fleet, the stream and the tallies, fed in batches."""

from collections import deque
from collections.abc import Callable, Iterable, Set
from math import inf

from msgspec import Struct, field

from swarm_tui.bus.port import Link
from swarm_tui.client.past import Moment
from swarm_tui.domain.fleet import Fleet
from swarm_tui.domain.fleet.reducer import NOT_YET
from swarm_tui.domain.problems import NOBODY, Problem, problems, why_it_waits
from swarm_tui.domain.states import TaskState
from swarm_tui.domain.views import AgentView, TaskView, keeps_record
from swarm_tui.domain.waiting import Rooms
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import AskRow, TaskRow
from swarm_tui.ui.model.here import Here, with_here
from swarm_tui.ui.model.seen_problems import SeenProblems
from swarm_tui.ui.model.source import Item, Unread
from swarm_tui.ui.model.stream import Stream

#: Tasks that are listed though they ended over an hour ago; the dispatcher knows of more.
ENDED_KEPT = 500
#: More than this in one batch, and the stream lists only the end of it.
LISTED = 1_000

#: Seconds that an agent may need after us to find the broker again.
BACK_AFTER = 5.0

#: Seconds in which a connection that is not there yet is no trouble.
CONNECT_GRACE = 3.0


class Delta(Struct):
    """Changes that one batch made."""

    agents: set[str] = field(default_factory=set)
    tasks: set[str] = field(default_factory=set)
    header: bool = False
    stream: bool = False

    def add(self, other: "Delta") -> None:
        """Take the other's marks too."""
        self.agents |= other.agents
        self.tasks |= other.tasks
        self.header |= other.header
        self.stream |= other.stream

    def __bool__(self) -> bool:
        return bool(self.agents or self.tasks or self.header or self.stream)


class Model:
    """The fleet and what the screen adds to it. `clock` gives seconds since the epoch.

    The end of a `recording` is no loss of the broker: time stands still at the last message.
    """

    def __init__(
        self,
        swarm: str,
        clock: Callable[[], float],
        stream: Stream | None = None,
        *,
        recording: bool = False,
        known: Fleet | None = None,
    ) -> None:
        self.swarm = swarm
        self._clock = clock
        self._recording = recording
        self.ended: float | None = None
        """When the recording ended, by its own time; None while it goes on, and of a swarm that runs."""
        self._last = self.began = clock()
        self.live = known or Fleet(swarm, kept=ENDED_KEPT)
        """What is known now, whatever shows."""
        self.live_stream = stream or Stream(swarm)
        self.live_stream.type_of = self._type_of
        self.moment: Moment | None = None
        """The moment of the past that shows; None while what is now does."""
        self._past_stream = self.live_stream
        self.marks: dict[str, set[str]] = {"agents": set(), "tasks": set()}
        self._live_marks = self.marks
        self.past_loaded = False
        self.relinked = False
        """Whether the link came back, not up for the first time."""
        self.link_changes = 0
        """How often the link came or went."""
        self.outages: deque[tuple[float, float]] = deque(maxlen=32)
        """When we had no link, with the moment that agents take to come back too; the last one may last still."""
        self.live_seen = SeenProblems()
        self._past_seen = SeenProblems()
        self.pending: dict[str, str] = {}
        """What was asked for and has not come: its name, and in words."""
        self.guard = ""
        """How the swarm is guarded, as its dispatcher says; empty where it was not asked."""
        self.here = Here()
        """What this host tells of the swarm."""
        self.rooms = Rooms(self.live)
        """Who could do which type, as last counted."""
        self._problems: list[Problem] | None = None
        self._wrong: dict[str, Set[str]] = {"agents": set(), "tasks": set()}
        self._blocked: dict[str, Problem] = {}
        """Of each task that waits because all who could do it drain."""
        self._nobody: dict[str, Problem] = {}
        """Of each alert, by its name, about tasks that nobody can be given."""

    @property
    def fleet(self) -> Fleet:
        """Return what shows: what is known now, or was at a moment of the past."""
        return self.live if self.moment is None else self.moment.fleet

    @property
    def stream(self) -> Stream:
        """Return the messages that show."""
        return self.live_stream if self.moment is None else self._past_stream

    @property
    def seen_problems(self) -> SeenProblems:
        """Return which problems a person has seen; of the past all are new."""
        return self.live_seen if self.moment is None else self._past_seen

    def clock(self) -> float:
        """Return what time it is in what shows, in seconds since the epoch."""
        if self.moment is not None:
            return self.moment.at
        return self._clock() if self.ended is None else self.ended

    def _type_of(self, task_id: str) -> str | None:
        task = self.fleet.tasks.get(task_id)
        return None if task is None else task.type

    def look_back(self, moment: Moment) -> None:
        """Show the swarm as it was; what happens now is taken in all the same."""
        if self.moment is None:
            self._live_marks, self.marks = self.marks, {"agents": set(), "tasks": set()}
        pattern, problems = self.stream.pattern, self.stream.problems
        self.moment, self._problems, self._past_seen = moment, None, SeenProblems()
        self._past_stream = Stream(self.swarm, heartbeats=self.live_stream.heartbeats)
        self._past_stream.type_of = self._type_of
        self._past_stream.all.extend(moment.messages)
        self._past_stream.filter(pattern.text, problems)

    def look_now(self) -> None:
        """Show what is so now."""
        if self.moment is not None:
            pattern, problems = self.stream.pattern, self.stream.problems
            self.moment, self._problems, self.marks = None, None, self._live_marks
            self.live_stream.filter(pattern.text, problems)

    def feed(self, items: Iterable[Item], now: float) -> Delta:
        """Apply a batch in order."""
        batch = list(items)
        delta = Delta()
        if self.moment is None:
            self._problems = None
        skip = max(0, len(batch) - LISTED)
        for number, item in enumerate(batch):
            if isinstance(item, Link):
                if self._recording and not item.up:
                    self.ended = now = self._last
                self.relinked = self.live.was_linked
                self._link_changed(item.up, now)
                self.live.link(item.up, item.reason, now)
                delta.header = True
                continue
            if isinstance(item, Unread):
                self.live.counts.add_unread(item.kind, item.count)
                self.live_stream.skipped += item.count
                delta.stream = delta.header = True
                continue
            self._last = item.received
            changes = self.live.apply(item, now)
            delta.agents |= changes.agents
            delta.tasks |= changes.tasks
            delta.header |= changes.header
            if number < skip:
                self.live_stream.skipped += 1
                delta.stream = True
            elif self.live_stream.add(changes.refused or item):
                delta.stream = True
        return delta if self.moment is None else Delta()

    def _link_changed(self, up: bool, now: float) -> None:
        """Note that our link came or went."""
        if up == self.live.broker_up:
            return
        self.link_changes += 1
        if not up:
            self.outages.append((now, inf))
        elif self.outages:
            self.outages[-1] = (self.outages[-1][0], now + BACK_AFTER)

    def tick(self, now: float) -> Delta:
        """Let time pass: once a second."""
        if self.ended is not None:
            return Delta()
        changes = self.live.tick(now)
        if self.moment is not None:
            return Delta()
        self._problems = None
        return Delta(agents=set(changes.agents), tasks=set(changes.tasks), header=changes.header)

    def look_here(self, here: Here) -> bool:
        """Take what this host tells of the swarm; whether that is news."""
        if here == self.here:
            return False
        self.here = here
        if self.moment is None:
            self._problems = None
        return True

    def load(self, rows: list[TaskRow], now: float) -> Delta:
        """Merge tasks of the past."""
        changes = self.live.load(rows, now)
        if self.moment is not None:
            return Delta()
        self._problems = None
        return Delta(agents=set(changes.agents), tasks=set(changes.tasks), header=changes.header)

    def load_asks(self, rows: list[AskRow]) -> None:
        """Merge what waits for an answer."""
        self.live.load_asks(rows)
        self._problems = None

    def problems(self) -> list[Problem]:
        """Return what is wrong, the worst first; counted anew when something changed."""
        if self._problems is None:
            now, self.rooms = self.clock(), Rooms(self.fleet)
            found = [self._ending(problem) for problem in problems(self.fleet, now)]
            self._problems = found if self.moment is not None else with_here(found, self.here, self.live)
            self.seen_problems.update(self._problems, now)
            ids = {problem.id for problem in self._problems}
            about = ids.union(*(problem.others for problem in self._problems))
            self._wrong = {"agents": about & self.fleet.agents.keys(), "tasks": ids & self.fleet.tasks.keys()}
            self._blocked = {problem.id: problem for problem in self._problems if problem.kind == "barred"}
            self._nobody = {p.kind: p for p in self._problems if p.subject == "alert" and p.kind.startswith(NOBODY)}
        return self._problems

    def _ending(self, problem: Problem) -> Problem:
        """Return the problem; where it is that nothing comes of a recording that ended, that."""
        if self.ended is None or problem.subject != "broker":
            return problem
        what, todo = "THE RECORDING ENDED: all is as it was then", "leave, or `swarm-tui replay` plays it again"
        return Problem(severity="info", subject="broker", id="", what=what, todo=todo, kind="ended")

    @property
    def connecting(self) -> bool:
        """Tell whether nothing was heard yet of the first connection, good or bad."""
        return not self.fleet.was_linked and self.fleet.broker_reason == NOT_YET

    def waiting(self) -> str:
        """Return what the screen waits for before it shows all there is, in words; empty when for nothing."""
        if self.connecting:
            return "the broker's answer"
        agents = self.fleet.agents
        nobody = {"tasks"} if agents and self.fleet.dispatcher is None else set()
        if agents and not keeps_record(agents.values()):
            nobody.add("history")
        return " and ".join(text for who, text in self.pending.items() if who not in nobody)

    def current_problems(self) -> list[Problem]:
        """Return those problems that nobody has seen and that are not old news, the worst first."""
        now = self.clock()
        if self.connecting and now - self.began < CONNECT_GRACE:
            return []
        return [problem for problem in self.problems() if self.seen_problems.is_current(problem, now)]

    def current_by_age(self) -> tuple[list[Problem], list[Problem]]:
        """Return what calls, parted into what is to be told in full and what is only counted."""
        now, current = self.clock(), self.current_problems()
        parted: tuple[list[Problem], list[Problem]] = [], []
        for problem in current:
            parted[self.seen_problems.is_old(problem, now)].append(problem)
        return parted

    def wrong(self, noun: str) -> Set[str]:
        """Return the ids of the `agents` or `tasks` that are a problem."""
        self.problems()
        return self._wrong[noun]

    def why_waiting(self, task: TaskView) -> tuple[str, str]:
        """Return why the task waits for more than its turn, and what to do, if anything; empty where not, as last
        counted.
        """
        if task.state not in (TaskState.QUEUED, TaskState.RETRY_WAIT):
            return "", ""
        if (problem := self._blocked.get(task.task_id)) is not None:
            return why_it_waits(problem), problem.todo
        alert = self._nobody.get(NOBODY + ":".join(filter(None, (task.type, task.assigned_to))))
        if task.state is not TaskState.QUEUED:
            return "", ""
        if alert is not None:
            return alert.what.removeprefix(f"{task.type} waits: "), alert.todo
        return self.rooms.why_waiting(task.type, task.assigned_to), ""

    def place(self, problem: Problem) -> str | None:
        """Return where the problem shows: `agents`, `tasks`, or None."""
        return next((noun for noun in ("agents", "tasks") if problem.id in self._wrong[noun]), None)

    @property
    def received(self) -> int:
        """Return all messages so far, refused ones too."""
        return self.fleet.counts.received

    def counts(self) -> dict[TaskState, int]:
        """Count the tasks that are in each state."""
        return self.fleet.counts_by_state()

    def running(self) -> int:
        """Count the tasks that an agent has in hand."""
        counts = self.counts()
        return counts[TaskState.RUNNING] + counts[TaskState.ASSIGNED]

    @property
    def stale(self) -> bool:
        """Tell whether facts cannot be trusted to be of now."""
        return not self.fleet.broker_up and self.ended is None and self.moment is None

    def agent(self, agent_id: str | None) -> AgentView | None:
        """Return the agent of that id."""
        return self.fleet.agents.get(agent_id) if agent_id else None

    def task(self, task_id: str | None) -> TaskView | None:
        """Return the task of that id."""
        return self.fleet.tasks.get(task_id) if task_id else None

    def messages(self, *, task_id: str | None = None, agent_id: str | None = None) -> list[Event]:
        """Return the messages kept that name the task, or come from the agent, oldest first."""
        found = []
        for message in self.stream.all:
            if not isinstance(message, Event):
                continue
            if task_id is not None and message.payload.get("task_id") != task_id:
                inner = message.payload.get("task")
                if not (isinstance(inner, dict) and inner.get("task_id") == task_id):
                    continue
            if agent_id is not None and message.sender != agent_id and message.key != agent_id:
                continue
            found.append(message)
        return found
