"""An agent: it connects, says who it is, takes tasks, has them done and reports, until it is told to leave."""

import time
from pathlib import Path
from typing import TYPE_CHECKING

from swarm_tui.agent.agent_reporter import AgentReporter
from swarm_tui.agent.clock_threads import HeartbeatThread, TimerThread
from swarm_tui.agent.console import Broadcasts, Console
from swarm_tui.agent.housekeeping import Housekeeping
from swarm_tui.agent.own_process import UsageMeter
from swarm_tui.agent.person_desk import PersonDesk
from swarm_tui.agent.presence_messages import identity_of
from swarm_tui.agent.retained_status import RetainedStatus
from swarm_tui.agent.role_thread import MakeService, RoleThread
from swarm_tui.agent.running_attempt import RunningAttempt
from swarm_tui.agent.worker_shell import LEADERLESS_KINDS, WorkerShell
from swarm_tui.bus.port import Bus, Link
from swarm_tui.config.errors import whole_file
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.domain.liveness import BEAT
from swarm_tui.domain.worker import Leader
from swarm_tui.identity.door import OVER, Door
from swarm_tui.identity.keyring import GUEST, Keyring
from swarm_tui.protocol.bodies import Broadcast, Dispatcher, Heartbeat, Inbox, Shutdown
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind, topic

if TYPE_CHECKING:
    from swarm_tui.agent.interactive.screen import CliScreen

#: Seconds that work has to end by itself when the agent leaves, and that the whole end may take.
STOP_WAIT, LEAVE_WAIT = 4.0, 8.0
#: Seconds after which the echo of our birth is not waited for any more.
_LOOK_AGAIN = 1.0
_ECHO_WAIT = 2.0
_REFUSALS_SHOWN = 20
#: Seconds between two looks of the watchdog.
LOOK_EVERY = 5.0
#: Seconds of silence after which it says so; a handler's option `silent_after` says when to end it.
SILENT_AFTER = 300.0
#: Seconds past its end after which an attempt that a blocked loop cannot end is reported without it.
STUCK_AFTER = 30.0


class AgentRuntime:
    """Everything one agent process does, over any bus. `run` is its life; `reporter.leave` ends it from any thread."""

    def __init__(
        self,
        spec: RunSpec,
        bus: Bus,
        console: Console,
        *,
        take_over: bool = False,
        beat_every: float = BEAT,
        service: MakeService | None = None,
        keys: Keyring = GUEST,
    ) -> None:
        self._spec = spec
        self._bus = bus
        self._pulse = UsageMeter()
        self.me = identity_of(spec)
        self.reporter = AgentReporter(spec, self.me, bus, console, take_over=take_over, keys=keys)
        self._door = Door(spec.swarm, keys)
        self.work = WorkerShell(spec, self.reporter, self._beat_body, self._changed)
        self.presence = RetainedStatus(self.reporter, self.work.state, self._settled)
        self.person = PersonDesk(spec.swarm, self.work.attempts, self.work.asks, self.reporter.note)
        self._notices = Broadcasts(self.reporter.note)
        self._watchdog = Watchdog(self.work, self.reporter)
        self._role = RoleThread(spec, self.reporter, self._changed, service)
        self._heart = HeartbeatThread(self._beat, beat_every)
        self._timer = TimerThread(self._tick)
        self._housekeeping = Housekeeping(StateDir(Path(spec.state_dir)), time.monotonic())
        self._quiet = frozenset(topic(spec.swarm, kind) for kind in LEADERLESS_KINDS)
        self._own_status = topic(spec.swarm, Kind.STATUS, spec.agent_id)
        self._echo_due: float | None = None
        self._link_reason: str | None = None
        self._refused = 0
        self._leader = ""
        """The dispatcher that was heard last, as its claim names it."""
        self._console = console
        self.screen = self.work.screen = self._make_screen() if spec.interactive else None

    def run(self) -> int:
        """Live until told to leave; the exit code. Raises BusError or OSError when it cannot begin."""
        self.start()
        # A signal that comes just as the wait begins does not end it: the next look sees it.
        while not self.reporter.leaving.wait(_LOOK_AGAIN):
            pass
        self.close()
        return self.reporter.exit_code

    def start(self) -> None:
        """Begin to connect, and return."""
        self.work.open()
        self.presence.prepare()
        for kind, key in ((Kind.INBOX, self._spec.agent_id), (Kind.STATUS, self._spec.agent_id)):
            self._bus.subscribe(topic(self._spec.swarm, kind, key))
        for kind in (Kind.DISPATCHER, Kind.HALT, Kind.BROADCAST):
            self._bus.subscribe(topic(self._spec.swarm, kind))
        for pattern in self._spec.extra_topics:
            self._bus.subscribe(pattern)
        self._role.start()
        self._timer.wake_at(self._housekeeping.tick(time.monotonic()))
        self._timer.start()
        self._heart.start()
        if self.screen is not None:
            self.screen.start()
        else:
            self.person.start()
        self._bus.start(self._on_message, self._on_link)

    def close(self) -> None:
        """Leave in order: no more tasks, what runs is ended, the farewell is said."""
        if self.reporter.quietly:
            self._bus.close(0.5)
        else:
            self._leave()
        self._heart.close()
        self._timer.close()
        self.work.close()

    def _leave(self) -> None:
        until = time.monotonic() + LEAVE_WAIT
        self.work.drain(self.reporter.reason)
        self.work.stop_all("interrupted", STOP_WAIT)
        self._role.close()
        if self.screen is not None:
            self.screen.close()
        while self.work.attempts() and time.monotonic() < until and not self.reporter.hurry.is_set():
            self.reporter.hurry.wait(0.05)
        self.reporter.say(
            Kind.SHUTDOWN,
            Shutdown(
                agent_id=self.me.agent_id,
                reason=self.reporter.reason,
                uptime=self._pulse.uptime(),
                incarnation=self.me.incarnation,
            ),
        )
        self.presence.farewell()
        self._bus.close(2.0 if self._bus.is_up() else 0.2)

    # -- the bus's thread

    def _on_link(self, link: Link) -> None:
        if link.up and link.kind == "forbidden":
            # It was up before, and all was said then.
            self.reporter.note(link.reason, "⚠")
        elif link.up:
            self.reporter.note(f"MQTT connected: {self.me.agent_id}", "✅")
            self.work.on_link(True)
            self.presence.on_up()
            self._echo_due = time.monotonic() + _ECHO_WAIT
            self._timer.wake_at(self._echo_due)
        else:
            self.work.on_link(False)
            if link.reason != self._link_reason:
                self.reporter.note(f"{link.reason}; trying again", "⏳")
        self._link_reason = None if link.up else link.reason
        self._role.on_link(link)

    def _settled(self) -> None:
        """All that is retained was heard: listen if we must, and only then say that we are there."""
        self._echo_due = None
        self.work.settled()
        self._timer.wake_at(self.work.wake(time.monotonic()))
        self.reporter.say(Kind.REGISTER, self.me.register())
        self._beat()

    def _on_message(self, full: str, raw: bytes, retained: bool) -> None:
        if full in self._quiet and self.work.core.leader is Leader.ONLINE and not self._role.present:
            return
        event = self._door.read(full, raw, retained, time.time())
        if event is OVER:
            if full == self._own_status:
                self._overwritten()
            return
        if event is None:
            self._on_extra(full, raw)
            return
        if isinstance(event, Event):
            self._on_event(event)
        else:
            self._refused += 1
            if full == self._own_status:
                self._overwritten()
            if self._refused <= _REFUSALS_SHOWN:
                why = f"{event.reason} ({event.hint})" if event.hint else event.reason
                self.reporter.note(f"refused {event.topic}: {why}", "⚠")
        self._role.on_event(event)

    def _overwritten(self) -> None:
        """Say our status again, where somebody may have left another there."""
        self.presence.overwritten()
        self._timer.wake_at(self.presence.changed())

    def _on_event(self, event: Event) -> None:
        if event.topic == self._own_status:
            self.presence.on_status(event)
            self._timer.wake_at(self.presence.changed())
            return
        if isinstance(event.body, Broadcast):
            self._call_out(f"{event.sender}: {event.body.text}")
            return
        self._tell_who_asks(event)
        self.work.on_event(event)
        self._timer.wake_at(self.work.wake(time.monotonic()))

    def _tell_who_asks(self, event: Event) -> None:
        """Say our status again to a dispatcher that begins, and to who asks: not every broker keeps it for them."""
        body = event.body
        asked = isinstance(body, Inbox) and body.command == "ping"
        if isinstance(body, Dispatcher) and body.online and body.instance != self._leader:
            self._leader = body.instance
            asked = not event.retained
        if asked:
            self.presence.again()
            self._timer.wake_at(self.presence.changed())

    def _on_extra(self, full: str, raw: bytes) -> None:
        """Show what came on a topic of mqtt.yml that is not the swarm's, as the seed's agents do."""
        self._call_out(f"{full} {raw[:200].decode('utf-8', 'replace')}")

    def _call_out(self, line: str) -> None:
        self._timer.wake_at(self._notices.show(line, time.monotonic()))

    # -- the CLI in the pane

    def _make_screen(self) -> "CliScreen":
        """Make the CLI's screen. Raises ConfigError where the layout's entry cannot have one."""
        from swarm_tui.agent.interactive.setup import NoScreenError, screen_of

        spec, reporter = self._spec, self.reporter
        log = StateDir(Path(spec.state_dir)).log(spec.agent_id)

        def divert(on: bool) -> None:
            self._console.divert(str(log) if on else None)

        try:
            return screen_of(spec, reporter.note, self._screen_changed, self.person.answered, divert)
        except NoScreenError as error:
            raise whole_file(spec.agent_id, str(error)) from None

    def _screen_changed(self) -> None:
        """Say what the CLI's screen is at now: a person's own turn there is work too."""
        assert self.screen is not None
        self.reporter.in_its_pane = self.screen.trouble
        self.work.occupy(self.screen.occupied)
        self._changed()

    # -- the clockwork

    def _look_at_installation(self) -> None:
        """Say, once, that the package was installed anew."""
        changed = self.work.installation.changed()
        if changed != self.reporter.outdated:
            self.reporter.outdated = changed
            self.reporter.note(changed or "the installation is the old one again", "⚠")
            self._timer.wake_at(self.presence.changed())

    def _beat_body(self) -> Heartbeat:
        vitals = self._pulse.look()
        memory = {} if vitals.rss is None else {"rss": vitals.rss}
        room = {"capacity": 0} if self.work.core.state.occupied else {}
        return self.me.beat(uptime=vitals.uptime, memory=memory, cpu=vitals.cpu, **self.work.held(), **room)

    def _beat(self) -> None:
        self._look_at_installation()
        if self._bus.is_up():
            self.reporter.say(Kind.HEARTBEAT, self._beat_body())

    def _changed(self) -> None:
        """Note that work began or ended, or that draining or the role's trouble changed."""
        now = time.monotonic()
        self._timer.wake_at(self.presence.changed())
        if self.work.core.running:
            self._timer.wake_at(now + 5.0)
        self._timer.wake_at(self.work.wake(now))

    def _tick(self, now: float) -> float | None:
        if self._echo_due is not None and self._echo_due <= now:
            self._echo_due = None
            self.presence.settle_late()
        times = [self.work.tick(now), self.presence.tick(now), self._watchdog.tick(now), self._echo_due]
        times += [self._notices.tick(now), self._housekeeping.tick(now)]
        return min((when for when in times if when is not None), default=None)


class Watchdog:
    """Minds work that says nothing, and handlers that block the loop they share, while something runs."""

    def __init__(self, work: WorkerShell, reporter: AgentReporter) -> None:
        self._work = work
        self._reporter = reporter
        self._warned: set[str] = set()

    def tick(self, now: float) -> float | None:
        """Look at what runs; when to look again."""
        attempts = self._work.attempts()
        self._warned &= {attempt.task_id for attempt in attempts}
        if not attempts:
            return None
        turned = self._work.ping(now)
        for attempt in attempts:
            self._mind(attempt, now)
            overdue = now - attempt.started - attempt.timeout
            if overdue > STUCK_AFTER and now - max(turned, attempt.started) > STUCK_AFTER:
                self._work.give_up(attempt)
                self._reporter.leave(f"{attempt.lease.task.type} blocks this agent: it must be started anew", 1)
        return now + LOOK_EVERY

    def _mind(self, attempt: RunningAttempt, now: float) -> None:
        silent = now - attempt.last_sign
        limit = attempt.handler.options.get("silent_after")
        if isinstance(limit, (int, float)) and not isinstance(limit, bool) and silent > limit > 0:
            self._work.stop(attempt, "silent")
        elif silent > SILENT_AFTER and attempt.task_id not in self._warned:
            self._warned.add(attempt.task_id)
            self._reporter.note(f"{attempt.task_id} has said nothing for {silent:.0f} s", "⚠")
