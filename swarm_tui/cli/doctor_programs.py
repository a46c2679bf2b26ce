"""The programs that a swarm starts, each one started: tmux, mosquitto, setpriv, and what the layout names."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from swarm_tui.broker.mosquitto import BrokerMissingError, EmbeddedBroker
from swarm_tui.cli.doctor_findings import Finding, bad, ok, warn
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.home import at_home
from swarm_tui.config.load import Loaded, known_layouts, load_layout
from swarm_tui.config.model import AgentEntry
from swarm_tui.config.running import Running
from swarm_tui.protocol.names import ROLE_TYPES, canonical_role

_LIMIT = 5.0
_SAID = 200


def check_tmux(socket: str) -> Iterator[Finding]:
    """Yield whether a tmux server starts where the swarm's would: one of our own that is ended again."""
    from swarm_tui.tmux.errors import TmuxError
    from swarm_tui.tmux.server import Tmux, check_version

    try:
        found = check_version()
    except TmuxError as error:
        yield bad("tmux", str(error))
        return
    folder = os.environ.get("TMUX_TMPDIR")
    if folder and not Path(folder).exists():
        yield warn(
            "tmux", f"TMUX_TMPDIR is {folder}, which is not there, so tmux uses /tmp: unset it, or make the folder"
        )
    # As long as the swarm's own, since the path of a socket has a limit.
    length = max(6, len(socket))
    trial = Tmux(os.urandom(length).hex()[:length], timeout=_LIMIT)
    made = ""
    try:
        trial.run("new-session", "-d", "-s", "doctor", "sleep 10")
        made = "".join(trial.run("display-message", "-p", "#{socket_path}"))
        yield ok("tmux", f"{'.'.join(map(str, found))} at {shutil.which('tmux')} starts")
    except TmuxError as error:
        yield bad("tmux", f"{error}{_way_out(str(error))}")
    finally:
        with suppress(TmuxError):
            trial.run("kill-server")
        if made:
            # tmux leaves it there.
            Path(made).unlink(missing_ok=True)


def _way_out(said: str) -> str:
    """Return what to do about what tmux said, as the rest of a sentence."""
    if "too long" in said:
        return ": set TMUX_TMPDIR to a folder with a short path, such as /tmp"
    if "unsafe permissions" in said:
        return f": chmod 700 {said.partition('directory ')[2].partition(' has')[0]}"
    return ": TMUX_TMPDIR (else /tmp) must be a folder that you may write" if "directory" in said else ""


def check_mosquitto(folder: Path) -> Finding:
    """Return whether a broker starts on a free port, with its files in a folder of its own under `folder`."""
    from swarm_tui.supervisor.broker_pane import listens

    try:
        program = EmbeddedBroker.find()
        with TemporaryDirectory(prefix=".swarm-tui-", dir=folder) as own:
            broker = EmbeddedBroker(_free_port(), Path(own))
            broker.prepare()
            began = time.monotonic()
            with subprocess.Popen(
                broker.argv(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
            ) as process:
                try:
                    while not (up := listens(broker.port)) and process.poll() is None:
                        if time.monotonic() - began > _LIMIT:
                            break
                        time.sleep(0.02)
                    seconds = time.monotonic() - began
                finally:
                    process.kill()
                said = (process.communicate()[1] or b"").decode("utf-8", "replace")
            if up:
                return ok("mosquitto", f"{program} starts in {seconds * 1000:.0f} ms")
            words = " ".join(" ".join([*said.splitlines()[-2:], *broker.last_words()]).split())[-_SAID:]
            return bad("mosquitto", f"{program} does not start: {words or f'it listens on nothing after {_LIMIT:g} s'}")
    except BrokerMissingError as error:
        return bad("mosquitto", str(error))
    except OSError as error:
        return bad("mosquitto", f"it cannot be tried: {error.filename or folder}: {error.strerror or error}")


def _free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_setpriv() -> Finding:
    """Return whether the programs of a task die with an agent that is killed."""
    from swarm_tui.processes.descendants import setpriv

    found = setpriv()
    if found is not None:
        return ok("setpriv", f"{found} lets programs of a task die with their agent")
    which = shutil.which("setpriv")
    why = f"{which} knows no --pdeathsig" if which else "there is none"
    return warn(
        "setpriv",
        f"{why}, so the programs of an agent that is killed live on until it is started again: install util-linux",
    )


def check_programs(loaded: Loaded) -> Iterator[Finding]:
    """Yield, for each program that a layout names, whether it is there; an agent CLI says its version."""
    seen: set[tuple[str, str, str]] = set()
    for entry in loaded.layout.agents:
        workdir = (loaded.workdir / at_home(entry.workdir)).resolve() if entry.workdir else loaded.workdir
        path = entry.env.get("PATH", os.environ.get("PATH", ""))
        for name, install, asked in _programs(entry):
            if "{" not in name and (name, str(workdir), path) not in seen:
                seen.add((name, str(workdir), path))
                yield _program(name, install, workdir, path, asked=asked)


def layout_of(swarm: str, running: Running | None) -> Loaded | None:
    """Return the layout of the swarm that runs, or of that name; None where there is none that can be read."""
    named = known_layouts(Path.cwd()).get(swarm)
    path = Path(running.layout_path) if running else named[1] if named else None
    try:
        return load_layout(path, cwd=Path(running.cwd) if running else None) if path is not None else None
    except (ConfigError, OSError):
        # Its mistakes are told in a line of their own.
        return None


def _programs(entry: AgentEntry) -> Iterator[tuple[str, str, bool]]:
    """Yield the programs of an agent: name, how to install it, whether it is an agent CLI, which knows `--version`."""
    from swarm_tui.agent.conversation.programs import find
    from swarm_tui.agent.handlers.models.cli_spec import Cli, known_clis

    if entry.command:
        yield entry.command[0], "", False
    for task_type in {*entry.handlers, *ROLE_TYPES.get(canonical_role(entry.role), ())}:
        spec = entry.handlers.get(task_type)
        if spec is None:
            continue
        if spec.command:
            yield spec.command[0], "", False
        handler = spec.use or task_type
        if handler in ("agent-cli", "code.generate", "code.plan"):
            name = spec.options.get("cli", "claude" if handler == "agent-cli" else None)
            try:
                known = {**known_clis(), **msgspec.convert(spec.options.get("clis", {}), dict[str, Cli])}
            except msgspec.ValidationError:
                continue
            cli = known.get(str(name))
            if cli is None:
                continue
            headless = cli.acp is None or spec.options.get("protocol") == "headless"
            adapter = None if cli.acp is None or headless else find(cli.acp.argv[0])
            if adapter is not None:
                yield adapter, cli.install, adapter.endswith(f"/{cli.argv[0]}") if cli.argv else False
            elif cli.argv:
                yield cli.argv[0], cli.install, True
            elif cli.acp is not None:
                yield cli.acp.argv[0], cli.install, False


def _program(name: str, install: str, workdir: Path, path: str, *, asked: bool) -> Finding:
    found = shutil.which(str(workdir / at_home(name)) if "/" in name else name, path=path)
    if found is None:
        what = f": {install}" if install else ""
        return bad("program", f"{name} is not there, and the layout's agents start it{what}")
    if not asked:
        return ok("program", f"{name} is {found}")
    return _version(name, found, workdir, {**os.environ, "PATH": path})


def _version(name: str, found: str, workdir: Path, environ: Mapping[str, str]) -> Finding:
    try:
        done = subprocess.run(
            [found, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LIMIT,
            check=False,
            cwd=workdir if workdir.is_dir() else "/",
            env=environ,
        )
    except subprocess.TimeoutExpired:
        return bad("program", f"{found} --version does not answer within {_LIMIT:g} s")
    except OSError as error:
        return bad("program", f"{found} does not start: {error.strerror or error}")
    said = " ".join((done.stdout or done.stderr).decode("utf-8", "replace").split())[:_SAID]
    if done.returncode:
        return bad("program", f"{found} --version ends with {done.returncode}: {said}")
    return ok("program", f"{name} {said}")
