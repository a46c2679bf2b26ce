"""Bring a swarm down on this host: the command only parses, calls this, and prints."""

import signal
import time
from collections.abc import Callable
from contextlib import suppress
from shutil import rmtree

from swarm_tui.config.files import remove
from swarm_tui.config.paths import StateDir, state_dir
from swarm_tui.config.running import forget_running, is_running
from swarm_tui.supervisor import locks, state_file
from swarm_tui.supervisor.broker_pane import BROKER, SUPERVISOR
from swarm_tui.supervisor.down_alone import ALONE_WAIT, SupervisorWatch, end_alone
from swarm_tui.supervisor.host_access import Say, UpError, beat_path, find_supervisor, server, signal_supervisor
from swarm_tui.supervisor.leftovers import plan_of_leftovers
from swarm_tui.supervisor.plan import (
    DownRequest,
    Plan,
    down_path,
    load_plan,
    plan_path,
    read_down,
    request_down,
    save_plan,
)
from swarm_tui.supervisor.stray_processes import end_left_behind, end_orphans
from swarm_tui.supervisor.supervisor_pane import ensure_supervisor_pane
from swarm_tui.tmux.commands import STAYS
from swarm_tui.tmux.errors import NoServerError, TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import DEFAULT, Tmux, socket_folder


def bring_down(swarm: str, *, now: bool, purge: bool, say: Say, waits: Callable[[list[str]], None]) -> bool:
    """End the swarm on this host; nothing of it is left. False when nothing of it was there.

    `waits` hears whom it waits for, whenever that changes. Call it under `swarm_lock`. Raises UpError, TmuxError,
    OSError.
    """
    state = state_dir(swarm)
    plan = load_plan(state)
    if plan is None or plan.swarm != swarm:
        plan = plan_of_leftovers(swarm, state, say)
        if plan is None:
            _forget(swarm, state, purge=purge)
            return False
        request_down(state, DownRequest(now=now))
        remove(plan_path(state))
        save_plan(state, plan)
    tmux = server(plan.socket)
    panes = [pane for pane in tmux.panes() if pane.swarm == swarm]
    was_there = bool(panes) or is_running(swarm)
    request_down(state, DownRequest(now=now, purge=purge))
    if panes or _lock_held(state, plan):
        going = SupervisorWatch(state, tmux, plan, now=now, say=say)
        going.go_on()
        if not signal_supervisor(state, signal.SIGTERM) and not any(
            pane.role == SUPERVISOR and not pane.dead for pane in panes
        ):
            say("no supervisor is there; one is made to end what it left")
            if panes:
                ensure_supervisor_pane(tmux, plan, state)
        if not _await_end(state, going, plan, waits):
            end_alone(state, tmux, plan, say)
    _sweep(tmux, plan, _sessions(panes, plan))
    end_orphans(plan, state, limit=ALONE_WAIT if now else None)
    end_left_behind(state)
    _forget(swarm, state, purge=purge)
    return was_there


def _forget(swarm: str, state: StateDir, *, purge: bool) -> None:
    forget_running(swarm)
    for path in (
        beat_path(state),
        down_path(state),
        plan_path(state),
        state_file.store_path(state),
        state.environment(),
    ):
        remove(path)
    if purge:
        rmtree(state.root, ignore_errors=True)


def hurry(state: StateDir) -> None:
    """A `down` that drains may be at work: let it drain no more."""
    if down_path(state).exists():
        request_down(state, DownRequest(now=True))
        signal_supervisor(state, signal.SIGTERM)


def _lock_held(state: StateDir, plan: Plan) -> bool:
    """Return whether an agent of the plan lives without any pane."""
    return any(locks.holders(state.lock(spec.agent_id)) for spec in plan.specs(state))


def finish_down(swarm: str, *, say: Say) -> None:
    """A `down` that was broken off, and whose supervisor still goes down: let it end before anything begins anew.

    Call it under `swarm_lock`. Raises UpError, TmuxError.
    """
    state = state_dir(swarm)
    request = read_down(state)
    if request is None or load_plan(state) is None:
        return
    say("a `down` was broken off on the way; it is finished first")
    bring_down(swarm, now=request.now, purge=False, say=say, waits=lambda names: None)


def _await_end(state: StateDir, going: SupervisorWatch, plan: Plan, waits: Callable[[list[str]], None]) -> bool:
    """Wait until the supervisor has done it; False when it is to be done without one.

    It may die on the way: its loop starts it again, and it goes on. Raises UpError.
    """
    figures = plan.layout.supervisor
    end = time.monotonic() + figures.drain_wait * 2 + figures.term_wait * 3 + 30.0
    last: list[str] = []
    while down_path(state).exists():
        saved = state_file.load(state)
        left = saved.stopping if saved is not None else []
        if left != last:
            last = left
            waits(left)
        if time.monotonic() > end:
            raise UpError(f"{', '.join(left) or 'the supervisor'} does not end: `swarm-tui down --now`")
        if going.gave_up():
            return False
        time.sleep(0.02)
    while find_supervisor(state) is not None and time.monotonic() < end and not going.gave_up():
        time.sleep(0.01)
    return True


def _sessions(panes: list[Pane], plan: Plan) -> set[str]:
    """Return the ids of the swarm's sessions; one that only its broker has moved into is another swarm's."""
    return {pane.session_id for pane in panes if pane.swarm == plan.swarm and pane.role != BROKER}


def _sweep(tmux: Tmux, plan: Plan, sessions: set[str]) -> None:
    """End what is left of the session: panes that people opened in it, and a socket that nobody listens on."""
    deadline = time.monotonic() + 5.0
    while True:
        panes: list[Pane] = tmux.panes()
        sessions |= _sessions(panes, plan)
        here = [pane for pane in panes if pane.session_id in sessions]
        if not here:
            break
        if any(pane.swarm == plan.swarm for pane in here) or time.monotonic() > deadline:
            # A session that other swarms' broker has moved into is theirs by now.
            with suppress(TmuxError):
                tmux.run("kill-session", "-t", here[0].session_id)
        time.sleep(0.01)
    if plan.socket != DEFAULT:
        _remove_socket(tmux)
    elif not any(pane.swarm for pane in tmux.panes()):
        with suppress(TmuxError):
            tmux.run("if-shell", "-F", f"#{{{STAYS}}}", f"set-option -s -u {STAYS} ; set-option -s exit-unattached on")


def _remove_socket(tmux: Tmux) -> None:
    """tmux leaves its socket behind when it ends."""
    path = socket_folder() / tmux.socket
    end = time.monotonic() + 2.0
    while time.monotonic() < end:
        try:
            tmux.run("list-sessions")
            return
        except NoServerError:
            path.unlink(missing_ok=True)
            return
        except TmuxError:
            time.sleep(0.02)
