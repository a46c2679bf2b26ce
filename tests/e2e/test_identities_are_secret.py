"""A swarm's secret and the keys of its identities are nowhere but in their own files."""

import os
import signal
import sqlite3
import subprocess
import sys
import uuid
import zlib
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.config.model import Broker
from swarm_tui.identity import account, store
from swarm_tui.identity.keys import agent_key, common_key, host_key, operator_key
from swarm_tui.supervisor import processes
from tests.e2e.supervised_swarm import Swarm, own
from tests.wait import until

Make = Callable[..., Swarm]


def forms(key: bytes) -> set[bytes]:
    """Return a key in every way in which it may be written."""
    text = b64encode(key)
    return {key, text, text.rstrip(b"="), key.hex().encode(), account.password_of(key).encode()}


def keys_of(swarm: Swarm) -> dict[str, bytes]:
    secret = store.read_secret(swarm.state)
    assert secret is not None
    home = host_key(secret, store.read_registry(swarm.state).home, 1)
    helper = host_key(secret, "helper", 1)
    return {
        "the secret": secret,
        "the host's": home,
        "its common one": common_key(home),
        "an agent's": agent_key(home, "worker"),
        "another host's": helper,
        "an operator's": operator_key(secret, "ann", 1),
        "an added agent's": agent_key(host_key(secret, "far", 1), "far"),
    }


#: Ends as AI CLIs may: it prints all that it knows, and its key in a traceback.
SPILL = """
import os
print(dict(os.environ), open(f"/proc/{os.getppid()}/cmdline").read(), flush=True)
raise RuntimeError("no answer for the key " + os.environ["ANTHROPIC_API_KEY"] + ", " + os.environ["PLAIN"])
"""
#: A mistake of ours in the midst of keys: its traceback is written down.
MISTAKE = """
import os, sys
from swarm_tui.identity.keyring import SwarmKeyring
def prove(self, kind, key, topic, raw):
    known = vars(self)
    raise RuntimeError(f"{len(known)} things are known, {os.environ['PLAIN']} too")
SwarmKeyring.prove = prove
from swarm_tui.cli.group import run
sys.exit(run(["halt", "--swarm", sys.argv[1]]))
"""


def values_of(path: Path) -> Iterator[bytes]:
    """Return all that a database holds, as it was before it was packed."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            for row in database.execute(f'SELECT * FROM "{table}"'):
                for value in row:
                    raw = value if isinstance(value, bytes) else str(value).encode()
                    yield raw
                    with suppress(zlib.error):
                        yield zlib.decompress(raw)


def captured(swarm: Swarm) -> list[bytes]:
    """Return what each pane shows; a line that is longer than the pane goes on in the next."""
    return ["".join(swarm.tmux.capture(pane.pane_id, 2000)).encode() for pane in swarm.tmux.panes()]


def shown(swarm: Swarm, agent_id: str) -> str:
    """Return the last lines of an agent's pane."""
    return "\n".join(swarm.tmux.capture(swarm.panes()[agent_id].pane_id, 2000))


#: Places into which what was put everywhere on purpose does not come: what `up` is called with is for agents alone.
BLIND = {"cmdline", "environ", "tmux"}
#: Where the key of an AI agent is, by its owner's wish: what the layout says, for the owner alone to read.
OF_THE_OWNER = {"plans"}


def test_no_identity_shows_anywhere(make: Make, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    # What may be seen, put everywhere: what is not found by it would not find a secret either.
    plain, ai_key = f"plain-{uuid.uuid4().hex}", f"sk-ant-api03-{uuid.uuid4().hex}"
    monkeypatch.setenv("PLAIN", plain)
    monkeypatch.setenv("ANTHROPIC_API_KEY", ai_key)
    spill = {
        "command": [sys.executable, "-c", SPILL],
        "max_attempts": 1,
        "options": {"pass_env": ["ANTHROPIC_API_KEY", "PLAIN"]},
    }
    given = {"ANTHROPIC_API_KEY": "${ANTHROPIC_API_KEY}", "PLAIN": "${PLAIN}"}
    swarm = make(
        free_port,
        [own("boss", "task-manager"), own("watch", "monitoring"), own("worker", handlers={"spill": spill}, env=given)],
        policy={"guests": "none"},
    )
    swarm.up()
    heard: list[bytes] = []
    for name, kind in (("helper", "host"), ("ann", "operator"), ("far", "agent")):
        assert swarm.run("broker", "add", name, "--as", kind, "--swarm", swarm.name).returncode == 0
    broker = account.broker_of_swarm(Broker(url=f"mqtt://127.0.0.1:{free_port}"), swarm.state)
    bus = MqttBus(broker, "test-ears")
    bus.subscribe("#")
    bus.start(lambda full, raw, kept: heard.append(full.encode() + raw), lambda link: None)
    try:
        until(lambda: heard, what="what is retained")
        told: list[bytes] = []
        for words in (
            ["publish", "spill", "--wait", "--task-id", "spilled"],
            ["tasks", "spilled"],
            ["logs", "--task", "spilled"],
            ["halt", plain],
            ["status", "--json"],
            ["tasks", "--json"],
            ["broker", "show"],
            ["broker", "acl", "--for", "mosquitto"],
            ["approve", "nothing"],
            ["resume"],
            ["logs", "worker"],
        ):
            done = swarm.run(*words, "--swarm", swarm.name)
            told.append((done.stdout + done.stderr).encode())
        damaged = store.folder_of(swarm.state) / "secret"
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[:20])
        done = swarm.run("broker", "show", "--swarm", swarm.name)
        assert "holds no key" in done.stdout + done.stderr or "cannot be read" in done.stdout + done.stderr
        told.append((done.stdout + done.stderr).encode())
        damaged.write_bytes(whole)
        line = [sys.executable, "-c", MISTAKE, swarm.name]
        done = subprocess.run(line, capture_output=True, text=True, cwd=swarm.folder, check=False, timeout=60)
        assert "a mistake of ours" in done.stderr, done.stderr
        told.append((done.stdout + done.stderr).encode())
        # The stacks push all else out of sight.
        panes = captured(swarm)
        for agent_id, pid in swarm.pids().items():
            # Its threads' stacks, as a person asks for them.
            os.kill(pid or 0, signal.SIGUSR1)
            until(lambda agent_id=agent_id: "most recent call first" in shown(swarm, agent_id), what="the stacks")
        places: dict[str, list[bytes]] = {"a command's words": told, "the bus": heard}
        places["errors.log"] = [(swarm.state.root.parent / "errors.log").read_bytes()]
        for name in ("cmdline", "environ"):
            places[name] = [
                Path(f"/proc/{process.pid}/{name}").read_bytes()
                for process in swarm.processes()
                if processes.is_alive(process.pid)
            ]
        places["panes"] = panes + captured(swarm)
        places["tmux"] = ["\n".join(swarm.tmux.run("show-environment", "-g")).encode()]
        own_files = store.folder_of(swarm.state)
        files = [path for path in swarm.state.root.rglob("*") if path.is_file() and own_files not in path.parents]
        for path in files:
            places.setdefault("plans" if path.suffix == ".json" else "files", []).append(path.read_bytes())
            if path.suffix == ".db":
                places[path.name] = list(values_of(path))
        blind = {name for name, texts in places.items() if not any(plain.encode() in text for text in texts)}
        assert blind <= BLIND, "what was put there on purpose was not found"
        holders = {name for name, texts in places.items() if any(ai_key.encode() in text for text in texts)}
        assert holders <= OF_THE_OWNER, "an AI agent's key"
        owners = [path for path in files if ai_key.encode() in path.read_bytes()]
        assert {path.stat().st_mode & 0o777 for path in owners} == {0o600}
        for name, key in keys_of(swarm).items():
            for form in forms(key):
                for place, texts in places.items():
                    assert not any(form in text for text in texts), f"{name} is in {place}"
        joins = {path.name: path.read_bytes() for path in own_files.glob("*.join")}
        assert set(joins) == {"helper.join", "ann.join", "far.join"}
        secret = b64decode(whole.strip())
        assert not any(form in text for form in forms(secret) for text in joins.values()), "no join file has the secret"
    finally:
        bus.close()
