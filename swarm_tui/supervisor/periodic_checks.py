"""Do by the clock what a supervisor does: look at its panes, judge silences, repeat its status."""

import time
from collections.abc import Callable
from contextlib import suppress

from swarm_tui.supervisor.broker_pane import BrokerPane
from swarm_tui.supervisor.bus_presence import Presences
from swarm_tui.supervisor.host_access import beat
from swarm_tui.supervisor.host_link import REPEAT, HostLink
from swarm_tui.supervisor.host_reporter import HostReporter
from swarm_tui.supervisor.lifecycle import Lifecycle
from swarm_tui.supervisor.unit import Unit
from swarm_tui.tmux.errors import TmuxError
from swarm_tui.tmux.panes import Pane

LOOK_EVERY = 2.0
JUDGE_EVERY = 0.5
SWEEP_EVERY = 3600.0


class PeriodicChecks:
    """Goes round from `start` on; `looked(panes)` is called after each look that tmux answered with any pane."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        link: HostLink,
        presences: Presences,
        reporter: HostReporter,
        *,
        broker: BrokerPane | None,
        looked: Callable[[list[Pane]], None],
    ) -> None:
        self._services, self._lifecycle, self._link = lifecycle.services, lifecycle, link
        self._presences, self._reporter, self._looked = presences, reporter, looked
        self._broker = broker
        self._trouble = ""
        """Why tmux does not do what it is asked; empty when it does."""
        self._unlogged: set[str] = set()
        """Whose log cannot be written."""

    def start(self) -> None:
        """Begin to go round."""
        self._services.loop.after(LOOK_EVERY, self._look)
        self._services.loop.after(JUDGE_EVERY, self._judge)
        self._services.loop.after(self._echo_every(), self._repeat)
        self._services.loop.after(0.0, self._sweep)

    def stood_still(self, seconds: float) -> None:
        """The machine or we slept: silence until now proves nothing."""
        self._services.say("stall", "", f"the machine or we stood still for {seconds:.0f} s: nobody is judged by it")
        self._presences.stood_still(time.monotonic())
        self._link.stood_still()

    def _look(self) -> None:
        self._services.loop.after(LOOK_EVERY, self._look)
        try:
            panes = self._services.agent_panes.tmux.panes()
            if not panes:
                self._services.lost()
                return
            self._look_over(panes)
            self._tmux_is("")
        except TmuxError as error:
            self._tmux_is(str(error))
        self._lifecycle.advance()

    def _look_over(self, panes: list[Pane]) -> None:
        there = {pane.pane_id: pane for pane in self._services.agent_panes.mine(panes)}
        for unit in list(self._services.units.values()):
            self._look_at(unit, there)
        self._looked(panes)

    def _tmux_is(self, trouble: str) -> None:
        """Say once that tmux fails, and once that it works again."""
        if bool(trouble) != bool(self._trouble):
            text = f"{trouble}: what runs goes on, and nothing can be started" if trouble else "it answers again"
            self._services.say("tmux", "", text)
        self._trouble = trouble

    def _look_at(self, unit: Unit, panes: dict[str, Pane]) -> None:
        if unit.pane_id is None:
            return
        if unit.pane_id in panes:
            if unit.has_process:
                self._keep_log(unit.agent_id, panes[unit.pane_id])
        elif unit.has_process:
            # Its pane was closed and it outlived that: nobody can see it any more.
            self._services.say("orphan", unit.agent_id, "its pane was closed and its process lives on: it is ended")
            unit.pane_id = None
            self._lifecycle.end_process(unit)
        else:
            unit.pane_id = None

    def _keep_log(self, agent_id: str, pane: Pane) -> None:
        try:
            if not pane.dead:
                self._services.agent_panes.rotate(agent_id, pane.pane_id, logged=pane.logged)
            self._unlogged.discard(agent_id)
        except OSError as error:
            if agent_id not in self._unlogged:
                self._unlogged.add(agent_id)
                self._services.say("log", agent_id, f"what it prints is lost: {error.filename}: {error.strerror}")

    def _sweep(self) -> None:
        """Remove old logs; where that fails, the log's own trouble is said as it is written."""
        self._services.loop.after(SWEEP_EVERY, self._sweep)
        with suppress(OSError):
            self._services.agent_panes.sweep(time.time(), self._services.units)

    def _judge(self) -> None:
        self._services.loop.after(JUDGE_EVERY, self._judge)
        beat(self._reporter.state)
        silent = self._presences.silent(
            time.monotonic(),
            after=self._services.figures.silent_after,
            bus_since=self._link.up_since,
            echo=self._link.echo,
        )
        for unit in silent:
            self._lifecycle.hung(unit)
        self._find_cause()

    def _find_cause(self) -> None:
        """Say why the swarm cannot come up, as soon as that is known, and once that it can."""
        cause = self._broker.trouble if self._broker is not None else ""
        cause = cause or self._link.cause(time.monotonic()) or self._presences.leaderless()
        if cause != self._reporter.cause:
            self._services.say("cause", "", cause or "what kept the swarm from coming up is mended")
            self._reporter.cause = cause

    def _repeat(self) -> None:
        self._services.loop.after(self._echo_every(), self._repeat)
        self._reporter.publish()

    def _echo_every(self) -> float:
        """Return seconds, few enough that our own voice tells a silent agent from a silent bus."""
        return min(REPEAT, self._services.figures.silent_after / 4)
