"""`swarm-tui doctor`: all that a swarm needs, tried one by one."""

import locale
import os
import platform
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from swarm_tui import __version__
from swarm_tui.cli.common import (
    Target,
    broker_option,
    json_option,
    print_json,
    route_to_broker,
    style,
    swarm_option,
    target,
)
from swarm_tui.cli.doctor_findings import Finding, bad, ok, warn
from swarm_tui.cli.doctor_programs import check_mosquitto, check_programs, check_setpriv, check_tmux, layout_of
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.load import known_layouts, load_layout
from swarm_tui.config.model import Tmux
from swarm_tui.config.paths import state_home
from swarm_tui.config.seed import load_seed, seed_path
from swarm_tui.config.urls import is_loopback, shown_url
from swarm_tui.config.user import load_user_config, user_config_path

_PACKAGES = ("textual", "paho-mqtt", "libtmux", "msgspec", "click", "psutil", "pytest")
_MARKS = {"ok": ("ok  ", "green"), "warn": ("warn", "yellow"), "bad": ("BAD ", "red")}
_LEAST_FREE = 200 * 1024 * 1024
_SKEW = 2.0


@click.command(epilog="Example: swarm-tui doctor")
@swarm_option
@broker_option
@json_option
def command(swarm: str | None, broker: str | None, as_json: bool) -> int:
    """Try all that a swarm needs here: each line is ok, or says what to do.

    Exit 1 when something is bad.
    """
    found = target(swarm, broker)
    findings = []
    for finding in _all(found):
        findings.append(finding)
        if not as_json:
            mark, colour = _MARKS[finding.level]
            click.echo(f"{style(mark, fg=colour)}  {finding.name}: {finding.text}")
    worst = any(finding.level == "bad" for finding in findings)
    if as_json:
        print_json({"ok": not worst, "findings": findings})
    return 1 if worst else 0


def _all(found: Target) -> Iterator[Finding]:
    loaded = layout_of(found.swarm, found.running)
    socket = loaded.layout.tmux.socket if loaded else Tmux().socket
    yield _versions()
    yield from check_tmux(found.running.socket if found.running else socket)
    yield from _session(found)
    yield from _supervisor(found)
    yield check_setpriv()
    yield from check_programs(loaded) if loaded else ()
    yield from _broker(found)
    yield from _clock(found)
    yield from _config()
    yield _state(found)
    yield _sandbox(found)
    yield _disk()
    yield _terminal()


def _versions() -> Finding:
    have = []
    for package in _PACKAGES:
        try:
            have.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            return bad("versions", f"{package} is not installed: install swarm-tui again (pip install swarm-tui)")
    return ok("versions", f"swarm-tui {__version__}, Python {platform.python_version()}, {', '.join(have)}")


def _session(found: Target) -> Iterator[Finding]:
    """Return whether tmux still has the session that our state folder says is up."""
    if found.running is None:
        return
    from swarm_tui.tmux.errors import TmuxError
    from swarm_tui.tmux.panes import panes_by_libtmux
    from swarm_tui.tmux.server import Tmux

    running = found.running
    try:
        Tmux(running.socket).panes()
        windows = panes_by_libtmux(running.socket).get(running.session)
    except TmuxError as error:
        yield warn("session", str(error))
        return
    if windows is None:
        yield warn("session", f"{running.session} is gone from tmux: `swarm-tui up` starts it again")
    else:
        yield ok("session", f"{running.session} has {sum(windows.values())} agents' panes")


def _supervisor(found: Target) -> Iterator[Finding]:
    """Yield whether the supervisor of a swarm that runs here does its work."""
    if found.running is None:
        return
    from swarm_tui.supervisor.host_access import find_supervisor, supervisor_trouble

    trouble, living = supervisor_trouble(found.state), find_supervisor(found.state)
    if trouble:
        yield bad("supervisor", trouble)
    elif living is None:
        yield bad("supervisor", f"none lives: `swarm-tui up` lets one go on with what runs of {found.swarm}")
    else:
        yield ok("supervisor", f"pid {living[0]} goes round")


def _broker(found: Target) -> Iterator[Finding]:
    from swarm_tui.bus.probe import probe
    from swarm_tui.cli.doctor_broker import check_broker

    ours = is_loopback(found.broker.url) and found.broker.embedded != "never"
    tried = check_mosquitto(_first_there(state_home()))
    needed = ours and (tried.level == "ok" or not probe(route_to_broker(found), 2.0).ok)
    yield tried if needed or tried.level == "ok" else warn(tried.name, tried.text)
    if ours and tried.level == "ok" and found.running is None and probe(route_to_broker(found), 2.0).kind == "refused":
        yield ok("broker", f"nothing listens on {shown_url(found.broker.url)}: `swarm-tui up` starts one there")
        return
    yield from check_broker(route_to_broker(found), found.swarm)


def _clock(found: Target) -> Iterator[Finding]:
    """Return how far the clocks of those who answer are from ours."""
    from swarm_tui.cli.common import Failure
    from swarm_tui.cli.follow import follow
    from swarm_tui.protocol.envelope import Event
    from swarm_tui.protocol.topics import Kind

    if time.time() < 1_700_000_000:
        yield bad("clock", f"this machine says it is {time.strftime('%Y-%m-%d')}: set its clock")
        return
    skews: dict[str, float] = {}
    try:
        with follow(found, 2.0) as follower:

            def heard(event: object) -> None:
                if isinstance(event, Event) and event.kind is Kind.REPLY and not event.retained:
                    skews[event.sender] = event.at - event.received

            follower.operator.on_event(heard)
            follower.settle()
            follower.operator.query("status", {}, 0.5)
            follower.operator.query("tasks", {"limit": 1}, 0.5)
    except Failure:
        return
    if not skews:
        yield ok("clock", "nobody answers whose clock could be compared")
        return
    name, worst = max(skews.items(), key=lambda item: abs(item[1]))
    if abs(worst) > _SKEW:
        yield warn("clock", f"{name} is {worst:+.1f} s from this machine: run NTP on both")
    else:
        yield ok("clock", f"{len(skews)} compared, at most {abs(worst):.2f} s apart")


def _config() -> Iterator[Finding]:
    # The screen's names: its modules are slow to import, and only this check needs them.
    from swarm_tui.ui.acts import ALL
    from swarm_tui.ui.desk.keymap import mapped
    from swarm_tui.ui.look import theme

    cwd = Path.cwd()
    layouts = known_layouts(cwd)
    broken = 0
    for name, (where, path) in sorted(layouts.items()):
        try:
            load_layout(path)
        except ConfigError as error:
            if all("is not set" in problem.reason for problem in error.problems):
                continue
            broken += 1
            yield warn("layout", f"{name} ({where}): {str(error).splitlines()[0]}")
    if not broken:
        yield ok("layouts", ", ".join(f"{name} ({where})" for name, (where, _) in sorted(layouts.items())) or "none")
    try:
        config = load_user_config(actions=[action.name for action in ALL], themes=list(theme.NAMES))
        notes = mapped(ALL, config.keys)[1]
        if notes:
            yield warn("config", f"{user_config_path()}: {'; '.join(notes)}")
        else:
            none = "" if user_config_path().is_file() else " (none, so the defaults)"
            yield ok("config", f"{user_config_path()}{none}")
    except ConfigError as error:
        yield bad("config", "; ".join(str(error).splitlines()))
    path = seed_path()
    if path.is_file():
        try:
            notes = load_seed().notes
            yield warn("mqtt.yml", "; ".join(notes)) if notes else ok("mqtt.yml", str(path))
        except ConfigError as error:
            yield bad("mqtt.yml", "; ".join(str(error).splitlines()))


def _state(found: Target) -> Finding:
    for folder in (state_home(), found.state.root):
        if not folder.exists():
            continue
        status = folder.stat()
        if status.st_uid != os.getuid():
            return bad("state", f"{folder} belongs to another user: sudo chown -R {os.getuid()} {folder}")
        if status.st_mode & 0o077:
            return bad("state", f"others may read {folder}: chmod 700 {folder}")
        if not os.access(folder, os.W_OK | os.X_OK):
            return bad("state", f"{folder} cannot be written: chmod 700 {folder}")
    parent = _first_there(state_home())
    try:
        # Tried: what access rights say is not what a file system that is no disk does.
        with TemporaryDirectory(prefix=".swarm-tui-", dir=parent):
            pass
    except OSError as error:
        why = error.strerror or error
        return bad("state", f"{parent} cannot be written: {why}: set XDG_STATE_HOME to a folder of yours")
    return ok("state", f"{found.state.root}{'' if found.state.root.exists() else ' (made by `up`)'}")


def _first_there(folder: Path) -> Path:
    """Return the folder, else the nearest one above it that is there."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _sandbox(found: Target) -> Finding:
    """Return whether programs of tasks can be kept from the swarm's secret here."""
    from swarm_tui.config.sandbox import why_not as why_no_sandbox
    from swarm_tui.supervisor.plan import load_plan

    plan = load_plan(found.state)
    wanted = sorted(spec.agent_id for spec in plan.specs(found.state) if spec.sandbox == "bwrap") if plan else []
    why = why_no_sandbox()
    if why and wanted:
        return bad("sandbox", f"{', '.join(wanted[:5])} {'do' if len(wanted) > 1 else 'does'} nothing: {why}")
    if why:
        return ok("sandbox", f"none, so a task's program could read this swarm's secret ({why})")
    if wanted:
        return ok("sandbox", f"bubblewrap works; {len(wanted)} agents run their programs in it")
    return ok("sandbox", "bubblewrap works, and the layout asks for none: `sandbox: bwrap` under `defaults`")


def _disk() -> Finding:
    free = shutil.disk_usage(_first_there(state_home())).free
    if free < _LEAST_FREE:
        return bad("disk", f"{free // 2**20} MB free for {state_home()}: make room, tasks are journaled there")
    return ok("disk", f"{free / 2**30:.1f} GB free")


def _terminal() -> Finding:
    if not sys.stdout.isatty():
        return ok("terminal", "none here: use `up --detach`")
    columns, lines = shutil.get_terminal_size()
    if columns < 80 or lines < 24:
        return warn("terminal", f"{columns}×{lines}: the screen wants 80×24 or more")
    if (encoding := locale.getencoding()).lower().replace("-", "") != "utf8":
        return warn("terminal", f"its locale says {encoding}, and the screen writes UTF-8: set LANG=C.UTF-8")
    return ok("terminal", f"{columns}×{lines}, TERM={os.environ.get('TERM', '')}")
