"""Supervise one host: make what runs match the plan, and be ready to die at any time."""

import os
import signal
import threading
import time
from collections.abc import Mapping
from functools import partial

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.bus.port import BusError, Link
from swarm_tui.client.dispatcher import prepare_session
from swarm_tui.config.model import RunSpec
from swarm_tui.config.paths import StateDir
from swarm_tui.config.urls import same_broker
from swarm_tui.identity.account import broker_of_swarm
from swarm_tui.identity.keyring import GUEST
from swarm_tui.identity.open import open_host
from swarm_tui.identity.store import IdentityError, forget_former, read_registry, read_secret
from swarm_tui.protocol.bodies import Inbox
from swarm_tui.protocol.client_ids import Client, client_id_of
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor import state_file
from swarm_tui.supervisor.adoption import Adoption
from swarm_tui.supervisor.agent_panes import AgentPanes, PanePlace
from swarm_tui.supervisor.broker_move import BrokerMove
from swarm_tui.supervisor.broker_pane import BrokerPane
from swarm_tui.supervisor.broker_rules import admit
from swarm_tui.supervisor.bus_presence import Presences
from swarm_tui.supervisor.host_access import beat
from swarm_tui.supervisor.host_commands import HostCommands
from swarm_tui.supervisor.host_link import HostLink
from swarm_tui.supervisor.host_reporter import HostReporter
from swarm_tui.supervisor.lifecycle import Lifecycle
from swarm_tui.supervisor.loop import STALL, Loop
from swarm_tui.supervisor.periodic_checks import PeriodicChecks
from swarm_tui.supervisor.plan import Plan, load_plan, read_down
from swarm_tui.supervisor.reconciler import Reconciler
from swarm_tui.supervisor.scaler import Scaler
from swarm_tui.supervisor.services import Services
from swarm_tui.supervisor.shutdown import OrderlyShutdown
from swarm_tui.supervisor.state_file import Saved
from swarm_tui.supervisor.unit import Phase, Unit
from swarm_tui.supervisor.warm_process import WarmProcess
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import Tmux

#: Seconds that the start waits for the broker, at most.
SESSION_WAIT = 2.0


class Supervisor:
    """Wires the parts to one loop; `run` returns the exit code: 0 when the swarm went down in order."""

    def __init__(self, plan: Plan, state: StateDir, tmux: Tmux, environ: Mapping[str, str] = os.environ) -> None:
        """`environ` is that of the terminal, in which panes start their programs."""
        self.plan, self.state = plan, state
        self.units: dict[str, Unit] = {}
        self.lost = False
        """The tmux server, or the pane that we ran in, went away."""
        self._shutdown: OrderlyShutdown | None = None
        self._code = 0
        self._former = set(read_registry(state).former) if read_secret(state) is not None else set[str]()
        """Agents of before the swarm had keys, which have not said anything with their own yet."""
        layout = plan.layout
        self.loop = Loop(
            on_error=lambda error: self.reporter.mistake(error), on_stall=lambda s: self.checks.stood_still(s)
        )
        place = PanePlace(swarm=plan.swarm, session=plan.session, tiled=layout.tmux.arrange == "tiled", state=state)
        self.warm = WarmProcess(
            state.root,
            self.loop,
            lambda *event: self.say(*event),
            environ,
            wanted=_wants_warm(plan, state),
        )
        self.agent_panes = AgentPanes(tmux, place, self.warm.argv)
        keys = open_host(state, guests=layout.policy.guests, own=plan.own(state))
        self.presences = Presences(self.units, plan.host, proved=keys is not GUEST)
        self.link = HostLink(
            plan,
            self.loop,
            on_event=self._hear,
            on_foreign=self._hear_foreign,
            on_link=self._linked,
            make_bus=lambda: MqttBus(
                broker_of_swarm(plan.layout.broker, state), client_id_of(Client.SUPERVISOR, plan.swarm, plan.host)
            ),
            keys=keys,
        )
        self.reporter = HostReporter(plan, state, self.loop, self.link, self.presences)
        self.say = self.reporter.say
        self.link.on_late = lambda reason: self.say("refused", "", f"an order to this host: {reason}")
        services = Services(
            self.loop,
            self.agent_panes,
            layout.supervisor,
            self.units,
            say=self.say,
            changed=self.reporter.changed,
            drain=self._drain,
            elsewhere=self.presences.host_of,
            lost=self._tmux_lost,
        )
        self.lifecycle = Lifecycle(services)
        self._fit_figures()
        self.scaler = Scaler(
            self.units,
            layout.policy,
            start=lambda agent_id: self.reconciler.start(agent_id),
            retire=lambda unit, then: self.reconciler.retire(unit, then),
            before=self.presences.before,
            elsewhere=self.presences.number_elsewhere,
            say=self.say,
        )
        self.reporter.members, self.reporter.minimums = self.scaler.members, self.scaler.minimums
        self.commands = HostCommands(
            self.units,
            self.loop,
            self.link,
            self.lifecycle,
            self.scaler,
            state,
            rows=self.reporter.rows,
            say=self.say,
            forget=lambda agent_id: self.reconciler.forget(agent_id),
            tell=self.reporter.publish,
        )
        self.reconciler = Reconciler(
            plan, state, self.lifecycle, self.scaler, self.link, self.presences, restart=self.commands.restart
        )
        self.reconciler.former = self._former
        self.adoption = Adoption(self.reconciler, self.lifecycle)
        self.move = BrokerMove(services, self.link, self.reporter, plan)
        port = plan.embedded_port
        self.broker = (
            None
            if port is None
            else BrokerPane(
                self.loop, self.agent_panes, port, layout.supervisor, self.say, lambda: admit(self.plan, state)
            )
        )
        self.checks = PeriodicChecks(
            self.lifecycle, self.link, self.presences, self.reporter, broker=self.broker, looked=self._looked
        )

    def run(self) -> int:
        """Adopt what runs, start what does not, and keep it so until told to go down."""
        beat(self.state)
        self.warm.begin()
        saved = state_file.load(self.state)
        if saved is None and state_file.store_path(self.state).exists():
            self.say("state", "", f"{state_file.store_path(self.state)} makes no sense: restarts are counted anew")
        saved = saved or Saved()
        if saved.boot != state_file.boot_id():
            saved = Saved(members=saved.members, minimums=saved.minimums, orders=saved.orders)
        self.reporter.restore(saved.events)
        self.scaler.restore(saved.minimums)
        self.link.orders.until.update(saved.orders)
        self.adoption.take_over(saved)
        self.loop.on_signal(signal.SIGTERM, self._asked_to_end)
        self.loop.on_signal(signal.SIGUSR2, self.reload)
        self.loop.on_signal(signal.SIGHUP, self._tmux_lost)
        self.link.start(self.reporter.offline())
        self.reporter.former = saved.former
        self.reporter.write()
        if read_down(self.state) is not None:
            self.loop.post(self.go_down)
        else:
            if load_plan(self.state) != self.plan:
                # `up` wrote another one before it could know whom to tell.
                self.loop.post(self.reload)
            if self.broker is not None:
                self.broker.ensure(self._begin_all)
            else:
                self._begin(time.monotonic() + SESSION_WAIT)
        self.move.clean_up(saved.former)
        self.checks.start()
        self.loop.run()
        self.reporter.write()
        # Whoever lost its pane must make another at once, before anything can end it.
        self.link.close(0.1 if self.lost else 2.0)
        self.warm.close()
        self.loop.close()
        return self._code

    def _begin(self, latest: float) -> None:
        """Whoever joins hears first which agents run on the other hosts: what is retained comes before our own word."""
        if self.plan.join and self.link.echo is None and time.monotonic() < latest:
            self.loop.after(0.02, partial(self._begin, latest))
        else:
            self._begin_all()

    def _begin_all(self) -> None:
        """Make the dispatcher's session where there is none, then start what waits."""
        waits = (unit for unit in self.units.values() if unit.phase is Phase.WAITING)
        manager = next((unit.spec for unit in waits if unit.spec.role == "task-manager"), None)
        if manager is None:
            self.reconciler.begin_all()
        else:
            threading.Thread(target=self._prepare_session, args=(manager,), name="session", daemon=True).start()

    def _prepare_session(self, spec: RunSpec) -> None:
        """On a thread of its own. While the broker is away nothing can be missed: the dispatcher makes it later."""
        try:
            prepare_session(spec, SESSION_WAIT)
        except BusError as error:
            self.loop.post(partial(self.say, "session", spec.agent_id, str(error)))
        finally:
            self.loop.post(self.reconciler.begin_all)

    def reload(self) -> None:
        """The plan may have changed: apply the difference and nothing else."""
        plan = load_plan(self.state)
        if plan is None or self._shutdown is not None:
            return
        if (plan.layout.broker, plan.embedded_port) != (self.plan.layout.broker, self.plan.embedded_port):
            self.say("change", "", "another broker: a successor takes over with it")
            if not same_broker(plan.layout.broker.url, self.plan.layout.broker.url):
                self.move.leave(self.plan, alone=not self._shared())
            self._code = 1
            self.loop.stop()
            return
        self.plan = self.reporter.plan = plan
        self.lifecycle.services.figures = plan.layout.supervisor
        self._fit_figures()
        self.warm.want(_wants_warm(plan, self.state))
        self.scaler.policy = plan.layout.policy
        self.reconciler.apply(plan)
        self.reporter.changed()

    def _fit_figures(self) -> None:
        figures = self.lifecycle.services.figures
        self.agent_panes.tmux.timeout = figures.tmux_wait
        # Standing still must be noticed before anybody is judged by it.
        self.loop.stall = min(STALL, figures.silent_after / 4)

    def _looked(self, panes: list[Pane]) -> None:
        if self._shutdown is not None:
            return
        if self.broker is not None:
            if self.broker.pane(panes) is None:
                self.broker.ensure()
            self.broker.renew(time.monotonic())
        self.adoption.notice(panes)
        self.scaler.tick()

    # The bus.

    def _hear(self, event: Event) -> None:
        if self._shutdown is not None and self._shutdown.hear(event):
            return
        if event.kind is Kind.STATUS and event.proved_by.startswith("agent:"):
            self._has_keys(event.key)
        self.commands.hear(event)
        before = (len(self.presences.foreign_agents), self.reporter.dispatcher())
        self._moved(self.presences.hear(event, time.monotonic()))
        if (len(self.presences.foreign_agents), self.reporter.dispatcher()) != before:
            self.reporter.changed()

    def _has_keys(self, agent_id: str) -> None:
        """Note that an agent proves what it says: it is of no older version any more."""
        if agent_id not in self._former:
            return
        self._former.discard(agent_id)
        try:
            forget_former(self.state, agent_id)
        except (IdentityError, OSError) as error:
            self.say("identity", agent_id, str(error))

    def _hear_foreign(self, agent_id: str) -> None:
        self._moved(self.presences.hear_foreign(agent_id, time.monotonic()))

    def _moved(self, unit: Unit | None) -> None:
        if unit is None:
            return
        if unit.phase is Phase.STOPPING:
            self.lifecycle.drained(unit)
        if unit.presence.active == 0:
            self.commands.idle(unit)
        if unit.presence.registered:
            self.loop.post(self.lifecycle.advance)
        self.reporter.changed()

    def _linked(self, link: Link) -> None:
        self.say("bus", "", "connected" if link.up else f"not connected: {link.reason}")
        if link.up:
            self.presences.stood_still(time.monotonic())
        self.reporter.changed()

    def _drain(self, unit: Unit) -> bool:
        if not self.link.is_up or unit.spec.dialect != "swarm":
            return False
        order = Inbox(command="drain", reason="its supervisor stops it", incarnation=unit.presence.incarnation)
        self.link.publish(self.link.writer.message(Kind.INBOX, order, unit.agent_id))
        return True

    def _shared(self) -> bool:
        """Return whether other hosts are in the swarm."""
        return self.plan.join or self.presences.others()

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
        if self._shutdown is None:
            self._code, self.lost = 1, True
            self.loop.stop()

    def go_down(self) -> None:
        """End everything in reverse order, clear what the swarm retained, and leave."""
        request = read_down(self.state)
        now = request is not None and request.now
        if self._shutdown is not None:
            self._shutdown.hurry(now)
            return
        purge = request is not None and request.purge
        self._shutdown = OrderlyShutdown(
            self.state,
            self.lifecycle,
            self.link,
            self.reporter,
            self.broker,
            drain=not now,
            purge=purge,
            shared=self._shared,
            done=self.loop.stop,
        )
        self.reporter.waits_for = self._shutdown.waits_for
        self._shutdown.begin()


def _wants_warm(plan: Plan, state: StateDir) -> bool:
    """Return whether a warm process is of use: the layout lets it be, and has agents of ours."""
    return plan.layout.supervisor.warm and any(spec.command is None for spec in plan.specs(state))
