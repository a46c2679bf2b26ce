"""One host's supervisor: makes what runs match the plan, and can die at any time."""

import os
import signal
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from functools import partial

from msgspec import structs

from swarm_tui import __version__
from swarm_tui.bus.port import BusError, Link
from swarm_tui.client.dispatcher import prepare_session
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.spec import read_spec, write_spec
from swarm_tui.protocol.bodies import HostStatus, Inbox, PaneStatus
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor import processes, store
from swarm_tui.supervisor.broker_pane import BrokerPane
from swarm_tui.supervisor.crew import Crew, Place
from swarm_tui.supervisor.departure import Departure
from swarm_tui.supervisor.ground import Ground
from swarm_tui.supervisor.lifecycle import Lifecycle
from swarm_tui.supervisor.link import REPEAT, HostLink
from swarm_tui.supervisor.loop import Call, Loop
from swarm_tui.supervisor.operators import Operators
from swarm_tui.supervisor.plan import Plan, differs, load_plan, read_down
from swarm_tui.supervisor.presence import Presences
from swarm_tui.supervisor.scaler import Scaler
from swarm_tui.supervisor.store import Saved, SavedUnit
from swarm_tui.supervisor.unit import Phase, Unit
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import Tmux

LOOK_EVERY = 2.0
JUDGE_EVERY = 0.5
#: Seconds that the start waits for the broker, at most.
SESSION_WAIT = 2.0
EVENTS_KEPT = 40
EVENTS_SAID = 12


class Supervisor:
    """Wires the parts to one loop; `run` returns the exit code: 0 when the swarm went down in order."""

    def __init__(self, plan: Plan, state: StateDir, tmux: Tmux) -> None:
        self.plan, self.state, self.tmux = plan, state, tmux
        self.units: dict[str, Unit] = {}
        self.events: deque[dict[str, object]] = deque(maxlen=EVENTS_KEPT)
        self.loop = Loop(on_error=self._mistake, on_stall=self._stood_still)
        layout = plan.layout
        place = Place(swarm=plan.swarm, session=plan.session, tiled=layout.tmux.arrange == "tiled", state=state)
        self.crew = Crew(tmux, place)
        self.presences = Presences(self.units, plan.host)
        self.link = HostLink(plan, self.loop, on_event=self._hear, on_foreign=self._hear_foreign, on_link=self._linked)
        ground = Ground(
            self.loop,
            self.crew,
            layout.supervisor,
            self.units,
            say=self.say,
            changed=self.changed,
            drain=self._drain,
            lost=self._tmux_lost,
        )
        self.life = Lifecycle(ground)
        self.scaler = Scaler(self.units, layout.policy, start=self._start_one, retire=self._retire, say=self.say)
        self.operators = Operators(
            self.units,
            self.loop,
            self.link,
            self.life,
            self.scaler,
            state,
            rows=self.rows,
            say=self.say,
            forget=self._forget,
        )
        port = plan.embedded_port
        self.broker = None if port is None else BrokerPane(self.loop, self.crew, port, layout.supervisor, self.say)
        self._departure: Departure | None = None
        self._dirty = False
        self._code = 0
        self.lost = False
        """The tmux server, or the pane that we ran in, went away."""
        self._started_time = processes.start_time(os.getpid())

    # Beginning.

    def run(self) -> int:
        """Adopt what runs, start what does not, and keep it so until told to go down."""
        saved = store.load(self.state) or Saved()
        if saved.boot != store.boot_id():
            saved = Saved(crews=saved.crews)
        self.events.extend(saved.events)
        self._take_over(self.plan, saved)
        self.loop.on_signal(signal.SIGTERM, self._asked_to_end)
        self.loop.on_signal(signal.SIGUSR2, self.reload)
        self.loop.on_signal(signal.SIGHUP, self._tmux_lost)
        self.link.start(self._offline())
        self._write()
        if read_down(self.state) is not None:
            self.loop.post(self.go_down)
        elif self.broker is not None:
            self.broker.ensure(self._begin_all)
        else:
            self._begin_all()
        self.loop.after(LOOK_EVERY, self._look_again)
        self.loop.after(JUDGE_EVERY, self._judge_again)
        self.loop.after(self._echo_every(), self._repeat)
        self.loop.run()
        self._write()
        # Whoever lost its pane must make another at once, before anything can end it.
        self.link.close(0.1 if self.lost else 2.0)
        self.loop.close()
        return self._code

    def _take_over(self, plan: Plan, saved: Saved) -> None:
        """Make the units, and adopt the panes that are there."""
        self.scaler.limits = plan.scaled()
        specs = plan.specs(self.state)
        self.scaler.candidates = {
            role: [spec.agent_id for spec in specs if spec.role == role] for role in self.scaler.limits
        }
        for role, (low, high) in self.scaler.limits.items():
            named = self.scaler.candidates[role]
            crew = [name for name in saved.crews.get(role, []) if name in named][: max(high, 0)]
            crew += [name for name in named if name not in crew][: max(0, low - len(crew))]
            self.scaler.crews[role] = crew
        for spec in specs:
            if self._is_in(spec):
                self.units[spec.agent_id] = Unit(spec, saved.units.get(spec.agent_id))
        for unit in self.units.values():
            if not unit.saved.wanted:
                unit.phase = Phase.STOPPED
            elif unit.saved.crashloop:
                unit.phase = Phase.CRASHLOOP
        self._adopt_panes(saved)

    def _is_in(self, spec: RunSpec) -> bool:
        return spec.role not in self.scaler.limits or spec.agent_id in self.scaler.crews.get(spec.role, [])

    def _adopt_panes(self, saved: Saved) -> None:
        adopted = 0
        for pane in sorted(self.crew.mine(self._panes_surely()), key=lambda pane: pane.dead):
            if not pane.agent:
                continue
            unit = self.units.get(pane.agent)
            if unit is None:
                unit = self.units[pane.agent] = self._stray(pane, saved)
            if unit.unwatch is not None:
                self.say("double", pane.agent, f"pane {pane.pane_id} is a second one; it is closed")
                self.crew.close([pane.pane_id])
            elif pane.dead or not processes.is_alive(pane.pid):
                unit.pane_id = pane.pane_id
            else:
                self.life.adopt(unit, pane)
                adopted += 1
        if adopted:
            self.say("adopt", "", f"{adopted} agents go on as they were")

    def _stray(self, pane: Pane, saved: Saved) -> Unit:
        """A pane of ours whose agent the plan does not name."""
        try:
            spec = read_spec(self.state.spec(pane.agent))
        except ConfigError:
            spec = RunSpec(
                agent_id=pane.agent,
                role=pane.role or "general",
                swarm=self.plan.swarm,
                broker=self.plan.layout.broker,
                workdir=self.plan.workdir,
                state_dir=str(self.state.root),
            )
        unit = Unit(spec, saved.units.get(pane.agent))
        unit.in_layout = False
        unit.saved.wanted = False
        unit.phase = Phase.STOPPED
        return unit

    def _panes_surely(self) -> list[Pane]:
        """The panes; asks again while tmux does not answer, because to guess would be to start all twice."""
        while True:
            try:
                return self.tmux.panes()
            except TmuxError as error:
                self.say("tmux", "", str(error))
                time.sleep(0.5)

    def _begin_all(self) -> None:
        """Make the dispatcher's session where there is none, then start what waits."""
        waits = (unit for unit in self.units.values() if unit.phase is Phase.WAITING)
        manager = next((unit.spec for unit in waits if unit.spec.role == "task-manager"), None)
        if manager is None:
            self._start_all()
        else:
            threading.Thread(target=self._prepare_session, args=(manager,), name="session", daemon=True).start()

    def _prepare_session(self, spec: RunSpec) -> None:
        """On a thread of its own. While the broker is away nothing can be missed: the dispatcher makes it later."""
        try:
            prepare_session(spec, SESSION_WAIT)
        except BusError as error:
            self.loop.post(partial(self.say, "session", spec.agent_id, str(error)))
        finally:
            self.loop.post(self._start_all)

    def _start_all(self) -> None:
        for unit in self.units.values():
            if unit.phase is Phase.WAITING:
                self._write_spec(unit)
            elif unit.phase is Phase.RUNNING and unit.in_layout and self._runs_old_spec(unit):
                self.say("change", unit.agent_id, "the layout changed while nobody watched: it is restarted")
                self.restart_changed(unit)
        self.life.advance()

    def _runs_old_spec(self, unit: Unit) -> bool:
        try:
            return differs(read_spec(self.state.spec(unit.agent_id)), unit.spec)
        except ConfigError:
            return False

    def restart_changed(self, unit: Unit) -> None:
        """Restart it with its new spec."""
        self._write_spec(unit)
        self.operators.restart(unit)

    def _write_spec(self, unit: Unit) -> None:
        path = self.state.spec(unit.agent_id)
        with suppress(ConfigError):
            if path.exists() and read_spec(path) == unit.spec:
                return
        write_spec(path, unit.spec)

    def _start_one(self, agent_id: str) -> None:
        """An agent joins: of a scaled role, or of a layout that changed."""
        unit = self.units.get(agent_id)
        if unit is None:
            spec = next((spec for spec in self.plan.specs(self.state) if spec.agent_id == agent_id), None)
            if spec is None:
                return
            unit = self.units[agent_id] = Unit(spec)
        self._write_spec(unit)
        self.life.begin(unit, anew=True)

    def _retire(self, unit: Unit, then: Call) -> None:
        """An agent leaves for good: drained, ended, its pane closed, its retained status cleared."""
        unit.saved.wanted = False

        def gone() -> None:
            self._remove(unit)
            then()

        self.life.stop(unit, drain=True, then=gone)

    def _remove(self, unit: Unit) -> None:
        if unit.pane_id is not None:
            self.crew.close([unit.pane_id])
        self.units.pop(unit.agent_id, None)
        self.link.publish(self.link.writer.clear(Kind.STATUS, unit.agent_id))
        with suppress(TmuxError):
            self.crew.arrange(self.tmux.panes())
        self.changed()

    def _forget(self, agent_id: str) -> None:
        unit = self.units.get(agent_id)
        if unit is not None and unit.has_process:
            self.say("forget", agent_id, "it still runs: stop it first")
            return
        if unit is not None and not unit.in_layout:
            self._remove(unit)
        elif unit is not None:
            unit.saved = SavedUnit(wanted=unit.saved.wanted)
        self.presences.strangers.pop(agent_id, None)
        self.link.publish(self.link.writer.clear(Kind.STATUS, agent_id))
        self.changed()

    # Changes of the plan.

    def reload(self) -> None:
        """The plan may have changed: apply the difference and nothing else."""
        plan = load_plan(self.state)
        if plan is None or self._departure is not None:
            return
        if (plan.layout.broker, plan.embedded_port) != (self.plan.layout.broker, self.plan.embedded_port):
            self.say("change", "", "another broker: a successor takes over with it")
            self._code = 1
            self.loop.stop()
            return
        self.plan = plan
        self.life.ground.figures = plan.layout.supervisor
        self.scaler.policy = plan.layout.policy
        self.scaler.limits = plan.scaled()
        specs = {spec.agent_id: spec for spec in plan.specs(self.state)}
        for role, (low, high) in self.scaler.limits.items():
            named = [spec.agent_id for spec in specs.values() if spec.role == role]
            self.scaler.candidates[role] = named
            crew = [name for name in self.scaler.crews.get(role, []) if name in named][:high]
            self.scaler.crews[role] = crew + [name for name in named if name not in crew][: max(0, low - len(crew))]
        wanted = {name: spec for name, spec in specs.items() if self._is_in(spec)}
        for unit in [unit for unit in self.units.values() if unit.agent_id not in wanted]:
            self.say("change", unit.agent_id, "the layout no longer names it")
            self._retire(unit, lambda: None)
        for name, spec in wanted.items():
            self._apply(name, spec)
        self._revive()
        self.changed()

    def _apply(self, name: str, spec: RunSpec) -> None:
        unit = self.units.get(name)
        if unit is None:
            self.say("change", name, "the layout names it now")
            self._start_one(name)
            return
        old, unit.spec = unit.spec, spec
        if not unit.in_layout:
            unit.in_layout = True
            self.life.begin(unit, anew=True)
        if differs(old, spec) and unit.saved.wanted:
            self.say("change", name, "the layout changed what it is told: it is restarted")
            self.restart_changed(unit)
        else:
            self._write_spec(unit)

    def _revive(self) -> None:
        """`up` was called: what gave up or exited in order is tried again; what a person stopped stays stopped."""
        for unit in self.units.values():
            ended = unit.phase is Phase.STOPPED and unit.saved.wanted
            if unit.in_layout and (ended or unit.phase is Phase.CRASHLOOP):
                self.life.begin(unit, anew=True)

    # The bus.

    def _hear(self, event: Event) -> None:
        if self._departure is not None and self._departure.hear(event):
            return
        self.operators.hear(event)
        unit = self.presences.hear(event, time.monotonic())
        self._moved(unit)

    def _hear_foreign(self, agent_id: str) -> None:
        self._moved(self.presences.hear_foreign(agent_id, time.monotonic()))

    def _moved(self, unit: Unit | None) -> None:
        if unit is None:
            return
        if unit.phase is Phase.STOPPING:
            self.life.drained(unit)
        if unit.presence.active == 0:
            self.operators.idle(unit)
        if unit.presence.registered:
            self.loop.post(self.life.advance)
        self.changed()

    def _linked(self, link: Link) -> None:
        self.say("bus", "", "connected" if link.up else f"not connected: {link.reason}")
        if link.up:
            self.presences.stood_still(time.monotonic())
        self.changed()

    def _drain(self, unit: Unit) -> bool:
        if not self.link.is_up or unit.spec.dialect != "swarm":
            return False
        order = Inbox(command="drain", reason="its supervisor stops it")
        self.link.publish(self.link.writer.message(Kind.INBOX, order, unit.agent_id))
        return True

    def _offline(self) -> HostStatus:
        return HostStatus(status="offline", session=self.plan.session, socket=self.plan.socket, version=__version__)

    def status(self) -> HostStatus:
        """What this host says of itself."""
        return HostStatus(
            panes=[structs.replace(row, tail=row.tail[-6:]) for row in self.rows()],
            session=self.plan.session,
            socket=self.plan.socket,
            address=self.plan.layout.address,
            pid=os.getpid(),
            version=__version__,
            broker=self.plan.layout.broker.url,
            events=list(self.events)[-EVENTS_SAID:],
        )

    def rows(self) -> list[PaneStatus]:
        """Every pane of this host, and who speaks from it without one."""
        foreign = self.presences.judge(time.monotonic())
        return [unit.row() for unit in self.units.values()] + foreign

    # Time.

    def _look_again(self) -> None:
        self.loop.after(LOOK_EVERY, self._look_again)
        with suppress(TmuxError):
            panes = self.tmux.panes()
            if not panes:
                self._tmux_lost()
                return
            for unit in list(self.units.values()):
                self._look_at(unit, {pane.pane_id for pane in self.crew.mine(panes)})
            if self.broker is not None and self._departure is None and self.broker.pane(panes) is None:
                self.broker.ensure()
        self.scaler.tick()
        self.life.advance()

    def _look_at(self, unit: Unit, pane_ids: set[str]) -> None:
        if unit.pane_id is None:
            return
        if unit.pane_id in pane_ids:
            self.crew.rotate(unit.agent_id, unit.pane_id)
        elif unit.has_process:
            # Its pane was closed and it outlived that: nobody can see it any more.
            self.say("orphan", unit.agent_id, "its pane was closed and its process lives on: it is ended")
            unit.pane_id = None
            self.life.end_process(unit)
        else:
            unit.pane_id = None

    def _judge_again(self) -> None:
        self.loop.after(JUDGE_EVERY, self._judge_again)
        silent = self.presences.silent(
            time.monotonic(),
            after=self.plan.layout.supervisor.silent_after,
            bus_since=self.link.up_since,
            echo=self.link.echo,
        )
        for unit in silent:
            self.life.hung(unit)

    def _repeat(self) -> None:
        self.loop.after(self._echo_every(), self._repeat)
        self._publish()

    def _echo_every(self) -> float:
        """Often enough that our own voice tells a silent agent from a silent bus."""
        return min(REPEAT, self.plan.layout.supervisor.silent_after / 4)

    def _stood_still(self, seconds: float) -> None:
        self.say("stall", "", f"the machine or we stood still for {seconds:.0f} s: nobody is judged by it")
        self.presences.stood_still(time.monotonic())
        self.link.stood_still()

    # Words.

    def say(self, what: str, agent_id: str, reason: str) -> None:
        """Record an event: in the pane, in the state file, in the host's status."""
        reason = clean(reason, 300)
        event: dict[str, object] = {"at": round(time.time(), 3), "what": what, "reason": reason}
        if agent_id:
            event["agent_id"] = agent_id
        self.events.append(event)
        with suppress(OSError, ValueError):
            print(f"{time.strftime('%H:%M:%S')} {what:<9} {agent_id:<18} {reason}", flush=True)
        self.changed()

    def changed(self) -> None:
        """Rows differ: write and say them, once for all changes of this turn."""
        if not self._dirty:
            self._dirty = True
            self.loop.post(self._flush)

    def _flush(self) -> None:
        self._dirty = False
        self._write()
        self._publish()

    def _write(self) -> None:
        saved = Saved(
            pid=os.getpid(),
            start_time=self._started_time,
            boot=store.boot_id(),
            units={name: unit.saved for name, unit in self.units.items()},
            rows=self.rows(),
            crews=self.scaler.crews,
            bus_up=self.link.is_up,
            bus_reason=self.link.reason,
            stopping=self._departure.waits_for() if self._departure is not None else [],
            events=list(self.events),
            plan=self.plan.identity(),
        )
        try:
            store.save(self.state, saved)
        except OSError as error:
            print(f"the state file cannot be written: {error}", file=sys.stderr, flush=True)

    def _publish(self) -> None:
        if self.link.is_up and (self._departure is None or not self._departure.silent):
            self.link.publish(self.link.writer.message(Kind.HOST_STATUS, self.status(), self.plan.host))

    def _mistake(self, error: Exception) -> None:
        self.say("mistake", "", f"{type(error).__name__}: {error}")
        import traceback

        traceback.print_exception(error, file=sys.stderr)

    # Ending.

    def _asked_to_end(self) -> None:
        """SIGTERM: down when `down` asked; else leave the agents to our successor."""
        if read_down(self.state) is not None:
            self.go_down()
        else:
            self._code = 1
            self.loop.stop()

    def _tmux_lost(self) -> None:
        """The server, or our pane in it, is gone: whoever runs us makes a new pane, and our successor all else."""
        if self._departure is None:
            self._code, self.lost = 1, True
            self.loop.stop()

    def go_down(self) -> None:
        """End everything in reverse order, clear what the swarm retained, and leave."""
        request = read_down(self.state)
        now = request is not None and request.now
        if self._departure is not None:
            self._departure.hurry(now)
            return
        self._departure = Departure(self, drain=not now, done=self.loop.stop)
        self._departure.begin()
