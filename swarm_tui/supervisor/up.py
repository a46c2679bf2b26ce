"""Bring a swarm up on this host, or adopt it: the command only parses, calls this, and prints."""

import signal
import time
import uuid
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, structs

from swarm_tui import __version__
from swarm_tui.broker.mosquitto import BrokerMissingError
from swarm_tui.config.environment import save_environment
from swarm_tui.config.files import remove
from swarm_tui.config.home import user_name
from swarm_tui.config.load import Loaded
from swarm_tui.config.paths import StateDir, state_dir
from swarm_tui.config.resolve import session_name
from swarm_tui.config.running import Running, load_running, save_running
from swarm_tui.config.urls import shown_url
from swarm_tui.identity.open import has_identity
from swarm_tui.identity.store import make_secret, read_registry, read_secret
from swarm_tui.protocol.bodies import Dispatcher, Heartbeat, Query
from swarm_tui.protocol.codec import Writer, decode
from swarm_tui.protocol.envelope import Event
from swarm_tui.protocol.names import canonical_role
from swarm_tui.protocol.text import clean
from swarm_tui.protocol.topics import Kind, topic
from swarm_tui.supervisor import broker_rules, processes, state_file
from swarm_tui.supervisor.broker_choice import Choice, NoBrokerError, choose_broker
from swarm_tui.supervisor.host_access import Say, UpError, server, signal_supervisor, supervisor_alive
from swarm_tui.supervisor.plan import Plan, differs, down_path, load_plan, save_plan
from swarm_tui.supervisor.supervisor_pane import ensure_supervisor_pane, take_notes
from swarm_tui.tmux.server import check_version

#: Seconds that a look at what a broker retains may take.
_VISIT = 3.0
#: Seconds in which a dispatcher is heard that lives: its agent beats every ten.
LIFE = 12.0


class Prepared(Struct, frozen=True, kw_only=True):
    """Says what `up` would do. `running`: the swarm is up and is adopted."""

    plan: Plan
    state: StateDir
    running: bool
    notes: list[str] = []


def make_plan(loaded: Loaded, choice: Choice, *, host: str, join: bool) -> Plan:
    """Return the plan of a layout."""
    return Plan(
        layout=loaded.layout,
        path=str(loaded.path),
        workdir=str(loaded.workdir),
        host=loaded.layout.host or host,
        session=session_name(loaded.layout),
        embedded_port=choice.embedded_port,
        join=join,
        by=f"{user_name()}@{host}",
        at=round(time.time(), 3),
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
    choice = _choice(loaded, old if running else None, join=join)
    notes = [choice.note] if choice.note else []
    plan = make_plan(loaded, choice, host=host, join=join)
    if old is not None and old.identity() == plan.identity():
        plan = structs.replace(plan, by=old.by, at=old.at)  # Whoever runs `up` once more changes nothing.
    return Prepared(plan=plan, state=state, running=running, notes=notes)


def _choice(loaded: Loaded, old: Plan | None, *, join: bool) -> Choice:
    """The broker; of a swarm that runs, the one it has, unless that was another's and is there no more."""
    if old is None or old.layout.broker != loaded.layout.broker:
        return choose_broker(loaded.layout.broker, join=join)
    if old.embedded_port is None:
        with suppress(NoBrokerError):
            return choose_broker(loaded.layout.broker, join=join)
    return Choice(embedded_port=old.embedded_port)


def difference(old: Plan | None, new: Plan, state: StateDir) -> list[str]:
    """Return what a changed layout changes, a line for each agent."""
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


def led_elsewhere(ready: Prepared, *, take_over: bool) -> str:
    """Return who leads a swarm of that name on that broker, which this host never led nor joined; empty for nobody.

    It would be led twice, by keys that know nothing of each other, in one session of the broker: each would push the
    other off it again and again. So nobody is who is to be taken over and says nothing for LIFE seconds.
    """
    plan, state = ready.plan, ready.state
    leads = any(canonical_role(entry.role) == "task-manager" for entry in plan.layout.agents)
    if plan.join or plan.embedded_port is not None or not leads or has_identity(state) or state.dispatch.exists():
        return ""
    # The client of a broker takes long to load, and few need it here.
    from swarm_tui.bus.port import BusError
    from swarm_tui.bus.session import retained

    name = topic(plan.swarm, Kind.DISPATCHER)
    try:
        raw = retained(plan.layout.broker, name, _VISIT)
    except BusError:
        # Why it cannot be used is told by who uses it.
        return ""
    heard = decode(plan.swarm, name, raw, True, time.time()) if raw else None
    claim = heard.body if isinstance(heard, Event) else None
    if not isinstance(claim, Dispatcher) or not claim.online or (take_over and not _lives(plan, claim)):
        return ""
    who = clean(f"{claim.agent_id or 'a dispatcher'} ({claim.instance.partition('/')[0]})", 160)
    where = shown_url(plan.layout.broker.url)
    return (
        f"{plan.swarm} is led at {where} already, by {who}, by keys that this host has not: "
        "join it (there: `swarm-tui broker add NAME --as host`; here: `up LAYOUT --join FILE`), bring it down there, "
        "or name another swarm"
    ) + ("" if take_over else "; `--take-over` begins anew here, if nothing lives there any more")


def _lives(plan: Plan, claim: Dispatcher) -> bool:
    """Return whether the dispatcher that claims to lead says something: when it is asked, or as it beats."""
    from swarm_tui.bus.port import BusError
    from swarm_tui.bus.session import comes

    def is_its(full: str, raw: bytes) -> bool:
        heard = decode(plan.swarm, full, raw, False, time.time())
        body = heard.body if isinstance(heard, Event) else None
        if isinstance(body, Dispatcher):
            return body.instance == claim.instance and body.online
        return isinstance(body, Heartbeat) and body.agent_id == claim.agent_id

    writer = Writer(
        plan.swarm, f"operator:up@{plan.host}", "operator", new_id=lambda: str(uuid.uuid4()), clock=time.time
    )
    asked = writer.message(Kind.QUERY, Query(query="who"), f"up-{uuid.uuid4().hex[:12]}")
    heard = [topic(plan.swarm, Kind.DISPATCHER), topic(plan.swarm, Kind.HEARTBEAT)]
    try:
        return comes(plan.layout.broker, heard, is_its, question=asked, timeout=LIFE)
    except BusError:
        return False


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
    if not plan.join:
        make_secret(state, plan.host, running_agents(state) if ready.running else ())
    save_environment(state.environment())
    save_plan(state, plan)
    try:
        # One of another version would start the broker again as it was: its successor has the rules obeyed.
        broker_rules.forget_own(plan)
        leaving = running_agents(state) if ready.running else ()
        broker_rules.admit(plan, state, obeyed=not _is_followed(state), leaving=leaving)
    except BrokerMissingError as error:
        raise UpError(str(error)) from None
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
            guests=plan.layout.policy.guests,
            own=tuple(sorted(plan.own(state))),
            led=any(canonical_role(entry.role) == "task-manager" for entry in plan.layout.agents),
            shards=plan.layout.policy.shards,
            shard_by=plan.layout.policy.shard_by,
            cwd=known.cwd if known else str(Path.cwd()),
        )
    )
    ensure_supervisor_pane(tmux, plan, state)
    for line in take_notes(state):
        say(line)
    if version := renew_supervisor(state):
        say(f"the supervisor was of {version}; one of {__version__} goes on with its agents")
    else:
        signal_supervisor(state, signal.SIGUSR2)


def forget_ended(state: StateDir) -> None:
    """A new life of the swarm begins: what the last one wished to stop or had counted no longer holds."""
    if not supervisor_alive(state_file.load(state)):
        remove(state_file.store_path(state))
    remove(down_path(state))
    take_notes(state)


def running_agents(state: StateDir) -> list[str]:
    """Return the ids of the agents that the supervisor knows to run."""
    saved = state_file.load(state)
    return [] if saved is None else sorted(name for name, unit in saved.units.items() if unit.pid)


def former_agents(state: StateDir) -> list[str]:
    """Return the agents of a version without keys that were not restarted since. Raises IdentityError."""
    return [] if read_secret(state) is None else list(read_registry(state).former)


def _is_followed(state: StateDir) -> bool:
    """Return whether the supervisor that lives is of another version: its successor sees to the broker."""
    saved = state_file.load(state)
    return saved is not None and supervisor_alive(saved) and saved.version != __version__


def renew_supervisor(state: StateDir) -> str:
    """Have a supervisor of another version followed by one of this; that version, empty when there was none."""
    saved = state_file.load(state)
    if saved is None or not _is_followed(state):
        return ""
    processes.signal_one(saved.pid, saved.start_time, signal.SIGTERM)
    return saved.version or "another version"


def of_another_version(state: StateDir) -> dict[str, str]:
    """Return the agents that run and are of another version of the package, each with its version."""
    saved = state_file.load(state)
    units = saved.units.items() if saved is not None else ()
    return {name: unit.version for name, unit in units if unit.pid and unit.version not in ("", __version__)}
