"""What `up` and `down` do on this host; the commands only parse, call this, and print."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from msgspec import Struct

from swarm_tui import __version__
from swarm_tui.config.environment import save_environment
from swarm_tui.config.load import Loaded
from swarm_tui.config.paths import StateDir, state_dir, state_home
from swarm_tui.config.resolve import session_name
from swarm_tui.config.running import Running, forget_running, load_running, save_running
from swarm_tui.protocol.bodies import PaneStatus
from swarm_tui.supervisor import locks, processes, store
from swarm_tui.supervisor.broker_pane import SUPERVISOR
from swarm_tui.supervisor.choose import Choice, choose_broker
from swarm_tui.supervisor.mending import mend, take_notes
from swarm_tui.supervisor.plan import (
    DownRequest,
    Plan,
    ask_down,
    differs,
    down_path,
    load_plan,
    plan_path,
    save_plan,
)
from swarm_tui.supervisor.store import Saved
from swarm_tui.tmux.errors import NoServerError, TmuxError
from swarm_tui.tmux.panes import Pane
from swarm_tui.tmux.server import DEFAULT, Tmux, check_version, write_config

if TYPE_CHECKING:
    from collections.abc import Iterator

Say = Callable[[str], None]


class UpError(Exception):
    """`up` cannot; the text is one sentence."""


class Prepared(Struct, frozen=True, kw_only=True):
    """What `up` would do. `running`: the swarm is up and is adopted."""

    plan: Plan
    state: StateDir
    running: bool
    notes: list[str] = []


def server(socket: str) -> Tmux:
    """The tmux server of that name, with our config."""
    return Tmux(socket, config=None if socket == DEFAULT else write_config(state_home() / "tmux.conf"))


@contextmanager
def swarm_lock(state: StateDir, waiting: Say, limit: float = 300.0) -> "Iterator[None]":
    """One `up` or `down` of a swarm at a time. Raises UpError when another holds it too long."""
    state.create()
    held = locks.take_within(
        state.lock("_swarm"), limit, lambda: waiting("another `up` or `down` of this swarm is at work; waiting for it")
    )
    if held is None:
        raise UpError("another `up` or `down` of this swarm does not end: look for it with `ps`")
    try:
        yield
    finally:
        locks.release(held)


def make_plan(loaded: Loaded, choice: Choice, *, host: str, join: bool) -> Plan:
    """The plan of a layout."""
    return Plan(
        layout=loaded.layout,
        path=str(loaded.path),
        workdir=str(loaded.workdir),
        host=loaded.layout.host or host,
        session=session_name(loaded.layout),
        embedded_port=choice.embedded_port,
        join=join,
    )


def prepare(loaded: Loaded, *, host: str, join: bool) -> Prepared:
    """Look at tmux, the session and the broker; change nothing. Raises UpError, NoBrokerError, TmuxMissingError."""
    check_version()
    state = state_dir(loaded.layout.swarm)
    old = load_plan(state)
    tmux = server(loaded.layout.tmux.socket)
    session = session_name(loaded.layout)
    panes = tmux.panes()
    mine = [pane for pane in panes if pane.session == session]
    ours = [pane for pane in mine if pane.swarm]
    if mine and not any(pane.swarm == loaded.layout.swarm for pane in mine):
        whose = f"belongs to the swarm {ours[0].swarm}" if ours else "is not ours"
        raise UpError(
            f"a tmux session named {session} is there and {whose}: choose another `session` in the layout, or end it"
        )
    running = any(pane.swarm == loaded.layout.swarm for pane in panes)
    moved = old is not None and running and (old.session != session or old.socket != loaded.layout.tmux.socket)
    if old is not None and moved:
        raise UpError(f"the swarm runs in session {old.session}: `swarm-tui down` it before it can move to {session}")
    if running and old is not None and old.layout.broker == loaded.layout.broker:
        choice = Choice(embedded_port=old.embedded_port)
    else:
        choice = choose_broker(loaded.layout.broker)
    notes = [choice.note] if choice.note else []
    plan = make_plan(loaded, choice, host=host, join=join)
    return Prepared(plan=plan, state=state, running=running, notes=notes)


def difference(old: Plan | None, new: Plan, state: StateDir) -> list[str]:
    """What a changed layout changes, a line for each agent."""
    if old is None:
        return []
    before = {spec.agent_id: spec for spec in old.specs(state)}
    after = {spec.agent_id: spec for spec in new.specs(state)}
    lines = [f"+ {name}" for name in after if name not in before]
    lines += [f"- {name}" for name in before if name not in after]
    lines += [f"~ {name}" for name in after if name in before and differs(before[name], after[name])]
    if old.layout.supervisor != new.layout.supervisor:
        lines.append("~ the supervisor's figures")
    return lines


def bring_up(ready: Prepared, say: Say) -> None:
    """Write the plan and make the session, or hand the new plan to who runs it. Raises UpError, TmuxError, OSError.

    Call it under `swarm_lock`.
    """
    plan, state = ready.plan, ready.state.create()
    tmux = server(plan.socket)
    for line in difference(load_plan(state) if ready.running else None, plan, state):
        say(line)
    if not ready.running:
        forget_ended(state)
    save_environment(state.environment())
    save_plan(state, plan)
    known = load_running(plan.swarm) if ready.running else None
    save_running(
        Running(
            swarm=plan.swarm,
            session=plan.session,
            socket=plan.socket,
            layout_path=plan.path,
            broker=plan.layout.broker,
            host=plan.host,
            version=__version__,
            started_at=known.started_at if known else time.time(),
            embedded=plan.embedded_port is not None,
            cwd=known.cwd if known else str(Path.cwd()),
        )
    )
    mend(tmux, plan, state)
    for line in take_notes(state):
        say(line)
    tell(state, signal.SIGUSR2)


def forget_ended(state: StateDir) -> None:
    """A new life of the swarm begins: what the last one wished to stop or had counted no longer holds."""
    if not supervisor_alive(store.load(state)):
        store.store_path(state).unlink(missing_ok=True)
    down_path(state).unlink(missing_ok=True)
    take_notes(state)


def supervisor_alive(saved: Saved | None) -> bool:
    """Whether the supervisor that wrote the file lives."""
    return saved is not None and saved.boot == store.boot_id() and processes.is_alive(saved.pid, saved.start_time)


def tell(state: StateDir, number: signal.Signals) -> bool:
    """Signal the supervisor; False when none lives."""
    saved = store.load(state)
    if saved is None or saved.boot != store.boot_id():
        return False
    return processes.signal_one(saved.pid, saved.start_time, number)


class Wait(Struct, kw_only=True):
    """How far a start is: who has registered, who has not, and who never will."""

    ready: list[str] = []
    missing: list[PaneStatus] = []
    failed: list[PaneStatus] = []
    known: bool = False


def progress(plan: Plan, state: StateDir) -> Wait:
    """Read how far it is, as the supervisor of this plan says it."""
    saved = store.load(state)
    if saved is None or not supervisor_alive(saved) or saved.plan != plan.identity():
        return Wait()
    found = Wait(known=bool(saved.rows) or not plan.layout.agents)
    named = {spec.agent_id for spec in plan.specs(state)}
    for row in saved.rows:
        if row.witness in ("foreign", "stray") or row.agent_id not in named:
            continue
        if row.state in ("online", "busy", "draining") and row.pid:
            found.ready.append(row.agent_id)
        elif row.state in ("crashloop", "stopped"):
            found.failed.append(row)
        else:
            found.missing.append(row)
    return found


def bring_down(swarm: str, *, now: bool, purge: bool, say: Say, waits: Callable[[list[str]], None]) -> bool:
    """End the swarm on this host; nothing of it is left. False when nothing of it was there.

    `waits` hears whom it waits for, whenever that changes. Call it under `swarm_lock`. Raises UpError, TmuxError.
    """
    state = state_dir(swarm)
    plan = load_plan(state)
    if plan is None:
        forget_running(swarm)
        if purge and state.root.exists():
            rmtree(state.root, ignore_errors=True)
        return False
    tmux = server(plan.socket)
    panes = [pane for pane in tmux.panes() if pane.swarm == swarm]
    was_there = bool(panes) or load_running(swarm) is not None
    ask_down(state, DownRequest(now=now))
    if panes or _lock_held(state, plan):
        if not tell(state, signal.SIGTERM) and not any(pane.role == SUPERVISOR and not pane.dead for pane in panes):
            say("no supervisor is there; one is made to end what it left")
            if panes:
                mend(tmux, plan, state)
            else:
                _go_down_here(plan, state, tmux)
        _await_end(state, tmux, plan, waits)
    _sweep(tmux, plan)
    forget_running(swarm)
    for path in (down_path(state), plan_path(state), store.store_path(state), state.environment()):
        path.unlink(missing_ok=True)
    if purge:
        rmtree(state.root, ignore_errors=True)
    return was_there


def hurry(state: StateDir) -> None:
    """A `down` that drains may be at work: let it drain no more."""
    if down_path(state).exists():
        ask_down(state, DownRequest(now=True))
        tell(state, signal.SIGTERM)


def _lock_held(state: StateDir, plan: Plan) -> bool:
    """Whether an agent of the plan lives without any pane."""
    return any(locks.holders(state.lock(spec.agent_id)) for spec in plan.specs(state))


def _go_down_here(plan: Plan, state: StateDir, tmux: Tmux) -> None:
    """tmux is gone and agents live on: end them from this process."""
    from swarm_tui.supervisor.orphans import end_orphans

    end_orphans(plan, state)


def _await_end(state: StateDir, tmux: Tmux, plan: Plan, waits: Callable[[list[str]], None]) -> None:
    """Until the supervisor has done it. It may die on the way: its loop starts it again, and it goes on."""
    figures = plan.layout.supervisor
    end = time.monotonic() + figures.drain_wait * 2 + figures.term_wait * 3 + 30.0
    last: list[str] = []
    while down_path(state).exists():
        saved = store.load(state)
        left = saved.stopping if saved is not None else []
        if left != last:
            last = left
            waits(left)
        if time.monotonic() > end:
            raise UpError(f"{', '.join(left) or 'the supervisor'} does not end: `swarm-tui down --now`")
        if not _someone_does_it(saved, tmux, plan):
            break
        time.sleep(0.02)
    while supervisor_alive(store.load(state)) and time.monotonic() < end:
        time.sleep(0.01)


def _someone_does_it(saved: Saved | None, tmux: Tmux, plan: Plan) -> bool:
    if supervisor_alive(saved):
        return True
    with suppress(TmuxError):
        return any(p.swarm == plan.swarm and p.role == SUPERVISOR and not p.dead for p in tmux.panes())
    return True


def _sweep(tmux: Tmux, plan: Plan) -> None:
    """What is left of the session: panes that people opened in it, and a socket that nobody listens on."""
    deadline = time.monotonic() + 5.0
    while True:
        panes: list[Pane] = tmux.panes()
        here = [pane for pane in panes if pane.session == plan.session]
        if not here:
            break
        if any(pane.swarm == plan.swarm for pane in here) or time.monotonic() > deadline:
            # A session that other swarms' broker has moved into is theirs by now.
            with suppress(TmuxError):
                tmux.run("kill-session", "-t", f"={plan.session}")
        time.sleep(0.01)
    if plan.socket != DEFAULT:
        _remove_socket(tmux)


def _remove_socket(tmux: Tmux) -> None:
    """tmux leaves its socket behind when it ends."""
    folder = Path(os.environ.get("TMUX_TMPDIR") or "/tmp") / f"tmux-{os.getuid()}"
    path = folder / tmux.socket
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
