"""End a swarm whose supervisor does not: it stands still, is stuck, or does not come back."""

import signal
import time
from contextlib import suppress

from swarm_tui.broker.mosquitto import BrokerMissingError, EmbeddedBroker
from swarm_tui.bus.port import BusError
from swarm_tui.bus.session import clear_retained
from swarm_tui.config.paths import StateDir, broker_dir
from swarm_tui.config.running import list_running
from swarm_tui.identity.account import broker_of_swarm
from swarm_tui.identity.store import IdentityError
from swarm_tui.protocol.topics import Kind, topic
from swarm_tui.supervisor import processes
from swarm_tui.supervisor.broker_pane import SUPERVISOR
from swarm_tui.supervisor.broker_rules import dismiss
from swarm_tui.supervisor.host_access import Say, UpError, beat_age, find_supervisor, supervisor_trouble
from swarm_tui.supervisor.plan import Plan, read_down
from swarm_tui.supervisor.shutdown import sharing
from swarm_tui.supervisor.stray_processes import end_orphans
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.server import Tmux

#: How long a `down` goes on without a supervisor that lives before it does the work itself, seconds.
ALONE_AFTER = 10.0
#: The same with `--now`, which also gives a supervisor no longer to show that it goes round.
ALONE_AFTER_NOW = 3.0
#: Seconds between two looks at what was asked meanwhile.
LOOK_EVERY = 0.5
#: Seconds that processes have to end by SIGTERM while nobody supervises, and that a broker has to answer.
ALONE_WAIT = 2.0


class SupervisorWatch:
    """Sees to it that some supervisor goes on with a `down`; with `now` it ends one that does not go round."""

    def __init__(self, state: StateDir, tmux: Tmux, plan: Plan, *, now: bool, say: Say) -> None:
        self._state, self._tmux, self._plan, self._now, self._say = state, tmux, plan, now, say
        self._began = self._seen = time.monotonic()
        self._looked = self._began
        self._killed = False

    def go_on(self) -> None:
        """Let a supervisor that a signal stopped go on. Raises UpError for one that is stuck, without `now`."""
        trouble = supervisor_trouble(self._state)
        if not trouble:
            return
        found = find_supervisor(self._state)
        if found is not None and processes.is_stopped(found[0]):
            self._say(f"the supervisor (pid {found[0]}) stood still; it is told to go on")
        elif not self._now:
            raise UpError(trouble)
        self._signal(signal.SIGCONT)

    def gave_up(self) -> bool:
        """Return whether no supervisor will do it. Call it again and again."""
        now = time.monotonic()
        self._look(now)
        found = find_supervisor(self._state)
        if found is None:
            return now - self._seen > (ALONE_AFTER_NOW if self._now else ALONE_AFTER) or not self._comes_back()
        age = beat_age(self._state)
        since = now - self._began if age is None else min(age, now - self._began)
        if not self._now or since <= ALONE_AFTER_NOW:
            self._seen = now
            return False
        if self._killed:
            return True
        self._say(f"the supervisor (pid {found[0]}) does nothing; it is killed")
        processes.signal_one(*found, signal.SIGKILL)
        self._killed, self._began, self._seen = True, now, now
        return False

    def _look(self, now: float) -> None:
        """Take in what came meanwhile: a second `down`, with `--now`, or a signal that stops the supervisor."""
        if now - self._looked < LOOK_EVERY:
            return
        self._looked = now
        request = read_down(self._state)
        if request is not None and request.now and not self._now:
            self._now, self._began = True, now
        found = find_supervisor(self._state)
        if found is not None and processes.is_stopped(found[0]):
            self._signal(signal.SIGCONT)

    def _comes_back(self) -> bool:
        """Return whether the loop that starts the supervisor again is there."""
        with suppress(TmuxError):
            return bool(_loops(self._tmux, self._plan))
        return True

    def _signal(self, number: signal.Signals) -> None:
        """Signal the supervisor and the loop round it."""
        if (found := find_supervisor(self._state)) is not None:
            processes.signal_one(*found, number)
        with suppress(TmuxError):
            for pid in _loops(self._tmux, self._plan):
                processes.signal_group(pid, None, number)


def end_alone(state: StateDir, tmux: Tmux, plan: Plan, say: Say) -> None:
    """End supervisor, agents and broker, and clear what was retained; the panes are left to be closed."""
    say("no supervisor does it: what runs is ended without one")
    with suppress(TmuxError):
        for pid in _loops(tmux, plan):
            processes.signal_group(pid, None, signal.SIGKILL)
    if (found := find_supervisor(state)) is not None:
        processes.signal_one(*found, signal.SIGKILL)
    with suppress(TmuxError):
        panes = [pane for pane in tmux.panes() if pane.swarm == plan.swarm and pane.agent and not pane.dead]
        end_orphans(plan, state, limit=ALONE_WAIT, also=[pane.pid for pane in panes])
    own = [topic(plan.swarm, Kind.STATUS, spec.agent_id) for spec in plan.specs(state)]
    own += [topic(plan.swarm, Kind.HOST_STATUS, plan.host)]
    own += [] if plan.join else [topic(plan.swarm, Kind.DISPATCHER), topic(plan.swarm, Kind.SCALE, "+")]
    try:
        clear_retained(broker_of_swarm(plan.layout.broker, state), own, timeout=ALONE_WAIT)
    except (BusError, IdentityError) as error:
        say(f"what the swarm retained stays at the broker: {error}")
    if plan.embedded_port is not None:
        with suppress(OSError, BrokerMissingError):
            dismiss(plan.embedded_port, plan.swarm)
        if not sharing(plan.embedded_port, plan.swarm, list_running()):
            _end_broker(plan.embedded_port)


def _end_broker(port: int) -> None:
    pid = EmbeddedBroker(port, broker_dir(port)).pid()
    began = processes.start_time(pid) if pid is not None else None
    if pid is None or began is None:
        return
    processes.signal_one(pid, began, signal.SIGCONT)
    processes.signal_one(pid, began, signal.SIGTERM)
    end = time.monotonic() + ALONE_WAIT
    while processes.is_alive(pid, began) and time.monotonic() < end:
        time.sleep(0.01)
    processes.signal_one(pid, began, signal.SIGKILL)


def _loops(tmux: Tmux, plan: Plan) -> list[int]:
    """Return the pids of the loops that start the supervisor again. Raises TmuxError."""
    panes = tmux.panes()
    return [pane.pid for pane in panes if pane.swarm == plan.swarm and pane.role == SUPERVISOR and not pane.dead]
