"""An agent's page: what it is, how its heart beats, its tasks, its lives and how they ended, its log."""

from collections.abc import Iterable, Iterator

from rich.segment import Segment
from rich.style import Style

from swarm_tui.client.past import heard_by
from swarm_tui.domain.liveness import BEAT
from swarm_tui.domain.outcome import outcome
from swarm_tui.domain.problems import ended_badly
from swarm_tui.domain.states import LIVE, OPEN
from swarm_tui.domain.views import AgentView, HostView, TaskView
from swarm_tui.protocol.bodies import Reply, Status
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.rows import mail_rows
from swarm_tui.protocol.topics import Kind, topic
from swarm_tui.ui.desk.capabilities import HasAgents, HasTasks, Numbered
from swarm_tui.ui.live.past import answer, history
from swarm_tui.ui.look import glyphs
from swarm_tui.ui.look.sgr import plain
from swarm_tui.ui.look.text import Parts, ago, amount, bar, beats, clock, fit, flat, lateness, spark, wrapped
from swarm_tui.ui.look.words import of_agent
from swarm_tui.ui.model.model import Delta
from swarm_tui.ui.screens.page import PageScreen
from swarm_tui.ui.screens.talk import talk
from swarm_tui.ui.widgets.agents import QUIET, fresh
from swarm_tui.ui.widgets.page import Line, Value, beside, rule

READ_AGAIN = 3.0
"""Seconds between two looks at its log while the page is open."""
EXITS_LISTED = 40
MAIL = 50
"""Messages that are asked for."""
WIDE = 150
"""Columns from which what it is and how its heart beats stand side by side."""
#: What a supervisor says of one of its processes that tells of an end, or of what led to it.
_ENDS = frozenset({"exit", "crashloop", "hung", "stop", "orphan", "double"})


class AgentScreen(PageScreen, HasAgents, HasTasks, Numbered):
    """The page of an agent."""

    SCOPE = "agent"

    def turn_to(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.written: list[str] | None = None
        self.past: list[Event] = []
        """What monitoring knows of its coming and going."""
        self._read_at = 0.0

    def begin(self) -> None:
        desk, agent = self.desk, self.agent_id
        self._read_log(self.model.clock())
        if desk.model.fleet.broker_up:
            asked = {"agent_id": agent, "topic": topic(desk.model.swarm, Kind.STATUS, "+"), "limit": EXITS_LISTED}
            desk.in_thread(lambda: answer(desk.source, "history", asked), lambda came: self._history_came(agent, came))
            mine = {"agent_id": agent, "limit": MAIL}
            desk.in_thread(lambda: answer(desk.source, "messages", mine), self._mail_came)

    def _read_log(self, now: float) -> None:
        agent, self._read_at = self.agent_id, now
        self.desk.in_thread(lambda: self.desk.source.log(agent, 60), lambda came: self._logged(agent, came))

    def _logged(self, agent: str, lines: list[str] | None) -> None:
        if agent == self.agent_id and lines != self.written and self.is_mounted:
            self.written = lines
            self.renew()

    def _history_came(self, agent: str, reply: Reply | None) -> None:
        if agent == self.agent_id and self.is_mounted:
            found = history(self.model.swarm, reply, self.model.clock())
            self.past = [message for message in found if isinstance(message, Event)]
            self.renew()

    def _mail_came(self, reply: Reply | None) -> None:
        if rows := mail_rows(reply.rows if reply else ()):
            self.model.live.load_mails(rows)
            if self.is_mounted:
                self.renew()

    def agent_ids(self) -> list[str]:
        return [self.agent_id]

    def task_ids(self) -> list[str]:
        return [subject] if isinstance(subject := self.page.subject(), str) else []

    def take(self, delta: Delta, now: float) -> None:
        if self.agent_id in delta.agents or delta.tasks:
            self.renew()
            self.renew_footer()

    def tick(self, now: float) -> None:
        if now - self._read_at >= READ_AGAIN:
            self._read_log(now)
        self.renew()

    def numbered(self) -> int:
        return len(self.desk.main.agents_listed())

    def go_agent(self, number: int) -> None:
        rows = self.desk.main.agents_listed()
        if number <= len(rows):
            self.turn_to(rows[number - 1])
            self.begin()
            self.renew()

    def open(self) -> None:
        if isinstance(subject := self.page.subject(), str):
            self.desk.pages.open_task(subject)

    def copy(self) -> None:
        self.desk.copy(self.agent_id) if self.page.cursor == 0 else super().copy()

    def copies(self) -> bool:
        return False  # Its last line has what is done to the agent.

    def title_parts(self, width: int) -> Parts:
        agent, look = self.model.agent(self.agent_id), self.desk.look
        if agent is None:
            return self.titled("AGENT", flat(self.agent_id), [Segment("is not known", look["warn"])])
        glyph, style = glyphs.AGENT[agent.state]
        return self.titled("AGENT", flat(agent.agent_id), [Segment(f"{glyph} {agent.word}", look[style])])

    def lay(self, width: int) -> list[Line]:
        agent = self.model.agent(self.agent_id)
        if agent is None:
            return [([Segment("  It has not been heard of.", self.desk.look["quiet"])], None)]
        half = width // 2
        top = [*self._facts(agent, width), *self._pulse(agent, width)]
        if width >= WIDE:
            top = beside(self._facts(agent, half - 2), self._pulse(agent, width - half), half)
        return [
            *top,
            *self._mail(agent.agent_id, width),
            *self._tasks(agent, width),
            *self._exits(agent, width),
            *self._written(agent, width),
        ]

    def _facts(self, agent: AgentView, width: int) -> list[Line]:
        look = self.desk.look
        glyph, style = glyphs.AGENT[agent.state]
        said = f"{glyph} {agent.word}  "
        busy = Segment(f"   {agent.active} of {agent.capacity} at once", look["quiet"])
        rows: list[tuple[str, list[Segment]]] = [("role", [Segment(flat(agent.role), look["strong"]), busy])]
        for number, text in enumerate(wrapped(of_agent(agent, self.told), width - 11 - len(said))):
            first = Segment(said, look[style]) if number == 0 else Segment(" " * len(said))
            rows.append(("state" if number == 0 else "", [first, Segment(text, look["quiet"])]))
        rows += self._wrapped("why", flat(agent.reason, 1000), width, style)
        rows += self._wrapped("lacks", flat(agent.trouble, 1000), width, "warn")
        rows += [("life", [Segment(self._incarnation(agent))]), ("where", [Segment(_where(agent))])]
        rows += self._wrapped("does", ", ".join(flat(name) for name in agent.capabilities) or "-", width, "plain")
        badly = [Segment(f", {agent.badly} came out badly", look["bad"])] if agent.badly else []
        failed = Segment(f", {agent.failed} failed", look["bad" if agent.failed else "quiet"])
        rows.append(("did", [Segment(f"{agent.done - agent.badly} done", look["ok"]), *badly, failed]))
        return [
            ([Segment(f"  {name:<8}", look["quiet"]), *_cut(parts, width - 10)], _said(parts)) for name, parts in rows
        ]

    def _wrapped(self, name: str, text: str, width: int, style: str) -> list[tuple[str, list[Segment]]]:
        """Lay out a text under its name; nothing where there is none."""
        lines = wrapped(text, width - 11) if text else []
        look = Style() if style == "plain" else self.desk.look[style]
        return [(name if number == 0 else "", [Segment(line, look)]) for number, line in enumerate(lines)]

    def _incarnation(self, agent: AgentView) -> str:
        up = "not started" if not agent.started_at else f"started {clock(agent.started_at)}"
        if agent.started_at and agent.state in LIVE:
            up = f"up {ago(self.model.clock() - agent.started_at)}, since {clock(agent.started_at)}"
        return f"{up}; {agent.restarts} restarts; incarnation {flat(agent.incarnation or '-')}"

    def _pulse(self, agent: AgentView, width: int) -> list[Line]:
        look, now = self.desk.look, self.model.clock()
        room = min(32, width - 40)
        dead = agent.state in QUIET
        seen = f"last {ago(now - agent.last_heartbeat)} ago" if agent.last_heartbeat else "none yet"
        gone = ", before its process ended" if dead and agent.last_heartbeat else ""
        cpu = "-" if agent.cpu is None else f"{agent.cpu:.0f}%"

        def row(name: str, drawn: str, style: str, says: str) -> Line:
            style = "old" if dead else fresh(agent, now, style)
            parts = [Segment(f"  {name:<8}", look["quiet"]), Segment(fit(drawn.strip(), room), look[style])]
            return [*parts, Segment(f"  {says}", look["quiet" if dead else fresh(agent, now)])], None

        return [
            rule("pulse", width, self.page),
            row("beats", beats(agent.beats, now, room, self.model.outages), "ok", seen + gone),
            *self._late(agent),
            row("cpu", spark(list(agent.cpu_trail), room, 100.0), "busy", f"was {cpu}" if dead else cpu),
            row("memory", spark(list(agent.memory_trail), room), "wait", ("was " if dead else "") + memory(agent)),
        ]

    def _late(self, agent: AgentView) -> list[Line]:
        """Return how far its heartbeats, of this life, were from the beat."""
        late = lateness([at for at in agent.beats if at >= (agent.started_at or 0.0)], self.model.outages)
        if not late:
            return []
        text = f"last {late[-1]:.1f} s, mean {sum(late) / len(late):.1f} s, worst {max(late):.1f} s, of {len(late)}"
        look = self.desk.look
        return [
            (
                [Segment("  late    ", look["quiet"]), Segment(text, look["warn" if late[-1] > BEAT / 4 else "plain"])],
                None,
            )
        ]

    def _tasks(self, agent: AgentView, width: int) -> list[Line]:
        look = self.desk.look
        mine = [task for task in self.model.fleet.tasks.values() if task.agent_id == agent.agent_id]
        count = len(mine)
        mine.sort(key=lambda task: (task.state not in OPEN, -task.updated_at))
        mine = mine[:40]
        sizes = (
            min(40 if width >= WIDE else 24, max((len(task.task_id) for task in mine), default=0) + 1),
            min(40 if width >= WIDE else 18, max((len(task.type) for task in mine), default=0) + 1),
        )
        rows = [(self._row(task, width, sizes), task.task_id) for task in mine]
        return [rule(f"tasks {count} ({self.told('open')} opens one)", width, self.page), *rows] if rows else [
            rule("tasks", width, self.page), ([Segment("  none yet", look["quiet"])], None)
        ]  # fmt: skip

    def _row(self, task: TaskView, width: int, sizes: tuple[int, int]) -> Parts:
        look, now = self.desk.look, self.model.clock()
        glyph, style = glyphs.of_task(task)
        how = (
            bar(task.progress, 10) + f" {task.progress:.0f}%"
            if task.progress is not None and task.state in OPEN
            else flat(task.error or task.reason or outcome(task.result))
        )
        parts = [
            Segment(f"  {glyph} {task.state.value:<12}", look[style]),
            Segment(fit(flat(task.task_id), sizes[0]) + " ", look["strong"]),
            Segment(fit(flat(task.type), sizes[1]) + " "),
            Segment(fit(ago(now - task.updated_at), 5, True) + "  ", look["quiet"]),
        ]
        return [*parts, Segment(fit(how, max(0, width - sum(p.cell_length for p in parts))), look["quiet"])]

    def _mail(self, agent_id: str, width: int) -> list[Line]:
        mine = (view for view in self.model.fleet.mails.values() if view.is_of(agent_id))
        return talk(mine, self.desk.look, width, self.page, of=agent_id, about=f" ({self.told('write')} writes)")

    def _exits(self, agent: AgentView, width: int) -> list[Line]:
        look = self.desk.look
        rows: list[Line] = []
        if how := ended_badly(agent):
            rows.append(([Segment(f"  its last process {how}", look["warn"])], None))
        host = self.model.fleet.hosts.get(agent.host or "")
        for at, text in ends_of(agent, host, heard_by(self.model.moment, self.past))[:EXITS_LISTED]:
            when = Segment(f"  {clock(at)} " if at else "  ", look["quiet"])
            rows.append(([when, Segment(fit(flat(text), width - when.cell_length))], None))
        rows += [([Segment(f"    {fit(flat(line), width - 4)}", look["quiet"])], None) for line in agent.tail]
        return [rule("how its lives ended, the last first", width, self.page), *rows] if rows else []

    def _written(self, agent: AgentView, width: int) -> list[Line]:
        rows: list[Line] = [
            ([Segment(f"  {fit(flat(plain(line), 1000), width - 2)}")], None) for line in (self.written or [])[-40:]
        ]
        until = "" if self.model.moment is None else " until now"
        return [rule(f"log{until} ({self.told('logs')} opens all of it)", width, self.page), *rows] if rows else []


def _said(parts: list[Segment]) -> Value:
    return Value("".join(part.text for part in parts).strip())


def memory(agent: AgentView) -> str:
    """Return what memory it takes, and how that moved while we looked."""
    now = amount(agent.memory_rss)
    if len(agent.memory_trail) < 2:
        return now
    return f"{now}, {amount(min(agent.memory_trail))} to {amount(max(agent.memory_trail))}"


def _cut(parts: list[Segment], width: int) -> Parts:
    kept: Parts = []
    for part in parts:
        room = width - sum(p.cell_length for p in kept)
        if part.cell_length > room:
            return [*kept, Segment(fit(part.text, max(0, room)), part.style)]
        kept.append(part)
    return kept


def _where(agent: AgentView) -> str:
    host, pane = flat(agent.host or "-"), flat(agent.pane_id or "-")
    return f"host {host}, pid {agent.pid or '-'}, pane {pane}, version {flat(agent.version or '-')}"


def ends_of(agent: AgentView, host: HostView | None, past: Iterable[Event]) -> list[tuple[float, str]]:
    """Return when they ended, and how, the last first; what we heard ourselves has no time, and goes before."""
    recorded = dict(_recorded(agent, past))
    events = host.events if host is not None else []
    said = [(e.at, f"{e.what}: {e.reason}") for e in events if e.agent_id == agent.agent_id and e.what in _ENDS]
    timed = sorted([*said, *recorded.values()], reverse=True)
    heard = [(0.0, end) for end in reversed(agent.ends) if end.split(":")[0] not in recorded]
    return [*heard, *timed]


def _recorded(agent: AgentView, past: Iterable[Event]) -> Iterator[tuple[str, tuple[float, str]]]:
    """Yield each incarnation that the record saw go offline, when, and what it said."""
    for event in past:
        body = event.body
        if not isinstance(body, Status) or body.agent_id != agent.agent_id or body.status.lower() != "offline":
            continue
        life = body.incarnation or "an incarnation"
        reason = event.payload.get("reason")
        why = reason if isinstance(reason, str) else "its connection ended without a farewell (will)"
        yield life, (event.received, f"{life}: {why}")
