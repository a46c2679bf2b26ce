"""`swarm-tui up`: start or adopt a swarm, then open the screen."""

import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from swarm_tui import __version__
from swarm_tui.agent.launch import filled
from swarm_tui.cli.common import FAILED, UNREACHABLE, USAGE, Failure, is_terminal, target, tell
from swarm_tui.cli.completers import layouts
from swarm_tui.cli.number_types import WAIT
from swarm_tui.cli.supervisor_client import SupervisorClient
from swarm_tui.cli.validate_handlers import remarks
from swarm_tui.config.files import remove, write_private
from swarm_tui.config.home import host_name
from swarm_tui.config.load import Loaded, find_layout, load_layout
from swarm_tui.config.paths import disk_trouble, state_dir, why_not
from swarm_tui.config.urls import is_loopback, shown_url
from swarm_tui.identity.open import has_identity, place_join
from swarm_tui.identity.store import IdentityError, read_join
from swarm_tui.protocol.bodies import HostControl, HostStatus
from swarm_tui.protocol.shards import misfit
from swarm_tui.supervisor import state_file
from swarm_tui.supervisor.broker_choice import NoBrokerError
from swarm_tui.supervisor.down import finish_down
from swarm_tui.supervisor.host_access import UpError, server, swarm_lock
from swarm_tui.supervisor.plan import load_plan
from swarm_tui.supervisor.start_watch import StartWatch, Wait
from swarm_tui.supervisor.up import (
    Prepared,
    bring_up,
    difference,
    former_agents,
    led_elsewhere,
    of_another_version,
    prepare,
)
from swarm_tui.tmux.errors import TmuxError

#: Seconds in which the supervisor of this version is there, after one of another, with its broker.
HEAR_SUCCESSOR = 20.0
#: Seconds after which a dispatcher that runs has not heeded that it is to lead.
_HEED = 3.0
_QUESTION = "Restart them one after another, each as soon as it is idle?"


@click.command(epilog="Example: swarm-tui up opencto-dev --detach")
@click.argument("layout", default="opencto-dev", metavar="[LAYOUT]", shell_complete=layouts)
@click.option("--detach", is_flag=True, help="Return when every agent has registered; open no screen.")
@click.option("--wait", type=WAIT, default=60.0, show_default=True, help="Seconds to wait for that.")
@click.option("--dry-run", is_flag=True, help="Show what would run; start nothing.")
@click.option(
    "--join",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Help a swarm that runs elsewhere, as the host of a join file (`swarm-tui broker add NAME --as host`).",
)
@click.option("--host", metavar="NAME", help="This host's name in the swarm (default: the layout's, else its own).")
@click.option("--swarm", metavar="NAME", help="Another name than the layout's for the swarm.")
@click.option("--broker", metavar="URL", help="Another broker than the layout's.")
@click.option("--renew", is_flag=True, help="Restart agents of another version, one by one, when idle.")
@click.option(
    "--take-over",
    is_flag=True,
    help="Lead from here, though the journal was another host's or broker's.",
)
@click.option("--force", "--yes", "force", is_flag=True, help="Ask nothing.")
def command(
    layout: str,
    detach: bool,
    wait: float,
    dry_run: bool,
    join: str | None,
    host: str | None,
    swarm: str | None,
    broker: str | None,
    renew: bool,
    take_over: bool,
    force: bool,
) -> None:
    """Start the swarm of LAYOUT, or adopt it when it runs, then open the screen.

    LAYOUT is a name (looked up in ./layouts, your config folder, then those shipped) or a path.
    """
    environ = dict(os.environ)
    if join:
        lines = _join_lines(Path(join))
        environ = {**lines, **environ}
        broker, swarm = _meant(broker, "MQTT_BROKER", lines), _meant(swarm, "OPENCTO_SWARM", lines)
    loaded = load_layout(find_layout(layout, Path.cwd()), environ, cwd=Path.cwd(), broker=broker, swarm=swarm)
    for line in [*loaded.notes, *remarks(loaded.path, loaded.layout, dict(os.environ))]:
        tell(line)
    _check(loaded, screen=not (detach or dry_run))
    take_over = take_over and not dry_run
    try:
        if join and not dry_run:
            host = _take_join(loaded, Path(join), host)
        named = host or host_name()
        with _wish_to_take_over(loaded.layout.swarm, wanted=take_over, force=force):
            ready = _up(loaded, dry_run=dry_run, join=join is not None, host=named, force=force, take_over=take_over)
            _await_leader(ready, wait, wanted=take_over)
        missing = None if ready is None else _missing(ready, wait, renew=renew, force=force, detach=detach)
    except NoBrokerError as error:
        raise Failure(str(error), UNREACHABLE if error.unreachable else FAILED) from None
    except BrokenPipeError:
        raise
    except OSError as error:
        raise Failure(why_not(error)) from None
    except (UpError, TmuxError, IdentityError) as error:
        raise Failure(str(error)) from None
    if detach and missing is not None:
        raise Failure(missing)
    if ready is not None and not detach:
        if missing is not None:
            # Whoever sits here can mend it on the screen, which shows the same reasons.
            tell(missing)
        sys.exit(open_screen(ready.plan.swarm))


def _missing(ready: Prepared, wait: float, *, renew: bool, force: bool, detach: bool) -> str | None:
    """Wait for the agents, then restart those of another version; what is missing after `wait` seconds, or None."""
    if ready.running and (former := former_agents(ready.state)):
        _give_keys(ready, former, wait)
    if (missing := _wait(ready, wait)) is not None:
        return missing
    return _offer_restarts(ready, renew=renew, ask=not force, wait=wait if detach else 0.0)


def _offer_restarts(ready: Prepared, *, renew: bool, ask: bool, wait: float) -> str | None:
    """Name the agents of another version, and have them restarted where that is wished: by `renew`, or a person's yes.

    `ask`: a person may be asked. Waits up to `wait` seconds for the last of them; a sentence when some are left then.
    """
    old = of_another_version(ready.state) if ready.running else {}
    if not old:
        return None
    named = ", ".join(f"{name} ({was})" for name, was in sorted(old.items()))
    tell(f"of another version than {__version__}: {named}")
    if not renew and not (ask and sys.stdin.isatty() and click.confirm(_QUESTION, default=False, err=True)):
        tell(
            f"    they go on as they are; `swarm-tui up --renew {ready.plan.path}` restarts each as soon as it is idle"
        )
        return None
    _restart(ready, list(old))
    if not wait:
        tell("    they are restarted one after another, each as soon as it is idle")
        return None
    end = time.monotonic() + wait
    while (left := sorted(of_another_version(ready.state))) and time.monotonic() < end:
        time.sleep(0.05)
    if left:
        return f"still of another version after {wait:g} s: {', '.join(left)}; each is restarted as soon as it is idle"
    click.echo(f"{len(old)} agents are of {__version__} now")
    return None


def _give_keys(ready: Prepared, former: list[str], wait: float) -> None:
    """Restart the agents of a version whose words nobody could prove: they cannot go on beside those of this one."""
    tell(f"{len(former)} agents are of a version without keys: each is restarted as soon as it is idle")
    _restart(ready, former, first=True)
    end = time.monotonic() + wait
    while (left := former_agents(ready.state)) and time.monotonic() < end:
        time.sleep(0.05)
    if left and wait:
        tell(f"    still to come after {wait:g} s: {', '.join(left)}; until then they are believed without proof")
    elif wait:
        click.echo(f"{len(former)} agents are of {__version__} now, and prove what they say")


def _restart(ready: Prepared, names: list[str], *, first: bool = False, mark: Path | None = None) -> None:
    """Have the agents restarted; the dispatcher goes last, so that it knows of all the others' restarts.

    `first`: it goes first, because the others will heed no other. Without the file `mark` they need none any more.
    """
    leaders = {spec.agent_id for spec in ready.plan.specs(ready.state) if spec.role == "task-manager"}
    names.sort(key=lambda name: ((name in leaders) is not first, name))
    with _supervisors(ready) as supervisors:
        if not supervisors.until(lambda: _is_of_this(supervisors.statuses.get(ready.plan.host)), HEAR_SUCCESSOR):
            raise Failure("the supervisor is not on the bus yet, so nobody can be restarted: run `up` again")
        if mark is None or mark.exists():
            supervisors.ask(ready.plan.host, HostControl(command="restart", agent_ids=names, when_idle=True))


def _supervisors(ready: Prepared) -> SupervisorClient:
    """The supervisors over the bus; a broker that is started anew with other rules is waited for."""
    end = time.monotonic() + HEAR_SUCCESSOR
    while True:
        try:
            return SupervisorClient(target(ready.plan.swarm))
        except Failure as failure:
            if failure.exit_code != UNREACHABLE or time.monotonic() >= end:
                raise
            time.sleep(0.2)


def _is_of_this(said: HostStatus | None) -> bool:
    """Return whether the supervisor that speaks is of this version."""
    return said is not None and said.version == __version__


def _check(loaded: Loaded, *, screen: bool) -> None:
    """Raise Failure where the swarm's name and its shards do not fit, or a `screen` that is wanted cannot open."""
    if why := misfit(loaded.layout.swarm, loaded.layout.policy.shards):
        raise Failure(why, USAGE)
    if not screen:
        return
    if not is_terminal():
        raise Failure("this is not a terminal, so no screen can open: use `swarm-tui up --detach`")
    if not sys.stderr.isatty():
        # The screen is drawn on stderr.
        raise Failure("stderr is not a terminal, and the screen is drawn there: leave out the `2>`, or use `--detach`")


def _join_lines(file: Path) -> dict[str, str]:
    try:
        return read_join(file)[1]
    except IdentityError as error:
        raise Failure(str(error), USAGE) from None


def _meant(flag: str | None, name: str, lines: Mapping[str, str]) -> str | None:
    """Return a flag, else what the join file says unless the environment does; of a broker elsewhere only."""
    said = None if os.environ.get(name) else lines.get(name)
    if name == "MQTT_BROKER" and said is not None and is_loopback(said):
        # Loopback there is another machine's than loopback here.
        said = None
    return flag or said


def _take_join(loaded: Loaded, file: Path, host: str | None) -> str:
    """Keep the join file as this host's identity; the host's name, which is the one that the file gives."""
    held = place_join(state_dir(loaded.layout.swarm).create(), file)
    named = host or loaded.layout.host
    if held.kind != "host":
        raise Failure(f"{file} is the identity of the {held.kind} {held.name}: a host's is needed", USAGE)
    if named is not None and named != held.name:
        raise Failure(f"{file} is the identity of the host {held.name}, and this one is to be {named}", USAGE)
    return held.name


def _up(
    loaded: Loaded, *, dry_run: bool, join: bool, host: str, force: bool, take_over: bool = False
) -> Prepared | None:
    if dry_run:
        _show(prepare(loaded, host=host, join=join))
        return None
    if not force:
        _confirm(loaded.confirm)
    state = state_dir(loaded.layout.swarm)
    with swarm_lock(state, tell):
        finish_down(loaded.layout.swarm, say=tell)
        ready = prepare(loaded, host=host, join=join)
        for line in ready.notes:
            tell(line)
        if elsewhere := led_elsewhere(ready, take_over=take_over):
            raise Failure(elsewhere)
        bring_up(ready, tell)
    if join and not has_identity(state):
        tell(
            f"this host has no identity in {loaded.layout.swarm}, so its word counts for nothing where words are proved"
        )
        tell("on the swarm's own host: `swarm-tui broker add NAME --as host`; here: `swarm-tui up LAYOUT --join FILE`")
    return ready


@contextmanager
def _wish_to_take_over(swarm: str, *, wanted: bool, force: bool) -> Iterator[None]:
    """Have the dispatcher told, when it begins, that a person wants it to lead. Raises Failure unless one says yes.

    A later start, that says nothing of it, is not to lead by this word.
    """
    if not wanted:
        yield
        return
    if not force:
        _confirm(
            [
                f"Lead {swarm} from here? Tasks that a dispatcher elsewhere, or the journal's former broker, has taken "
                "and this host's journal does not hold are lost; one that leads elsewhere stands down."
            ]
        )
    path = state_dir(swarm).create().take_over
    write_private(path, b"")
    try:
        yield
    finally:
        remove(path)


def _await_leader(ready: Prepared | None, wait: float, *, wanted: bool) -> None:
    """Wait until the dispatcher has heeded that it is to lead; one that stands by for another begins anew for that."""
    if ready is None or not wanted:
        return
    began, leaders = time.monotonic(), [s.agent_id for s in ready.plan.specs(ready.state) if s.role == "task-manager"]
    while (asked := ready.state.take_over.exists()) or ((saved := state_file.load(ready.state)) and saved.cause):
        if time.monotonic() > began + wait:
            return
        if asked and leaders and ready.running and time.monotonic() > began + _HEED:
            _restart(ready, leaders, mark=ready.state.take_over)
            leaders = []
        time.sleep(0.05)


def _confirm(questions: list[str]) -> None:
    for question in questions:
        if not sys.stdin.isatty():
            raise Failure(f"{question} Say `--yes` to go on, or unset it.")
        if not click.confirm(question, default=False, err=True):
            raise Failure("not started")


def _show(ready: Prepared) -> None:
    """Print what would run, a line an agent."""
    plan = ready.plan
    click.echo(f"swarm    {plan.swarm}{' (runs: it would be adopted)' if ready.running else ''}")
    click.echo(f"session  {plan.session}  (tmux {'' if plan.socket == 'default' else '-L ' + plan.socket})")
    own = f"our own, port {plan.embedded_port}" if plan.embedded_port is not None else "one that is there"
    click.echo(f"broker   {shown_url(plan.layout.broker.url)}  ({own})")
    for line in ready.notes:
        click.echo(f"note     {line}")
    limits, (always, spare) = plan.scaled(), plan.scaled_agents()
    for spec in plan.specs(ready.state):
        scaled = ""
        if spec.agent_id in always | spare:
            low, high = limits[spec.role]
            when = "" if spec.agent_id in always else "; only when its role has more work"
            scaled = f"  ({low} to {high} of them{when})"
        program = f"  {shlex.join(filled(msgspec.to_builtins(spec)))}" if spec.command else ""
        click.echo(f"agent    {spec.agent_id:<20} {spec.role:<14}{scaled}{program}")
    for line in difference(load_plan(ready.state) if ready.running else None, plan, ready.state):
        click.echo(f"change   {line}")


def _wait(ready: Prepared, limit: float) -> str | None:
    """Until all have registered; else the sentence that names who has not."""
    began, live = time.monotonic(), sys.stderr.isatty()
    shown = ""
    watch = StartWatch(ready.plan, ready.state, server(ready.plan.socket), adopted=ready.running)
    while True:
        now = watch.look()
        if now.done or now.cause or time.monotonic() - began >= limit:
            break
        left = [row.agent_id for row in now.missing]
        other = "a dispatcher" if now.known else "the supervisor"
        line = f"{len(now.ready)} registered; waiting for {', '.join(left) or other}"
        if live and line != shown:
            click.echo(f"\r\x1b[2K{line[: _width() - 1]}", nl=False, err=True)
            shown = line
        time.sleep(0.01)
    if shown:
        click.echo("\r\x1b[2K", nl=False, err=True)
    return _report(ready, now, time.monotonic() - began)


def _report(ready: Prepared, now: Wait, took: float) -> str | None:
    plan = ready.plan
    tmux = " ".join(server(plan.socket).argv)
    bad = [*now.failed, *now.missing]
    fatal = [row for row in bad if not (row.state == "stopped" and ready.running)]
    if not now.known or fatal or now.cause:
        for row in bad:
            tell(f"{row.agent_id}: {row.state}{': ' + row.reason if row.reason else ''}")
            for line in row.tail[-5:]:
                tell(f"    {line}")
        where = disk_trouble() or f"`{tmux} attach -t ={plan.session}` shows its pane"
        if now.cause:
            return f"{now.cause}; {where}"
        if not fatal:
            return f"the supervisor does not answer within {took:.0f} s, so who registered is not known; {where}"
        return f"did not register within {took:.0f} s: {', '.join(row.agent_id for row in fatal)}; {where}"
    if not now.led:
        return f"nobody dispatches after {took:.0f} s: `swarm-tui status` and the task-manager's log say more"
    verb = "goes on" if ready.running else "is up"
    agents = f"{len(now.ready)} agent{'' if len(now.ready) == 1 else 's'}"
    click.echo(f"{plan.swarm} {verb}: {agents} registered ({took:.1f} s)")
    click.echo(f"`swarm-tui` opens the screen; all panes: {tmux} attach -t ={plan.session}")
    return None


def _width() -> int:
    try:
        return os.get_terminal_size(2).columns
    except OSError:
        return 80


def open_screen(swarm: str) -> int:
    """The screen of the swarm that is up; its exit code."""
    from swarm_tui.cli.screen import open_screen as opened

    return opened(swarm)
