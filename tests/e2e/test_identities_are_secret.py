"""A swarm's secret and the keys of its identities are nowhere but in their own files."""

import sqlite3
from base64 import b64decode, b64encode
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psutil

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.config.model import Broker
from swarm_tui.identity import account, store
from swarm_tui.identity.keys import agent_key, common_key, host_key, operator_key
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


def test_no_identity_shows_anywhere(make: Make, free_port: int) -> None:
    spill = {"command": ["sh", "-c", "env; cat /proc/$PPID/cmdline; echo done"]}
    swarm = make(
        free_port,
        [own("boss", "task-manager"), own("watch", "monitoring"), own("worker", handlers={"spill": spill})],
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
            ["publish", "spill", "--wait"],
            ["status", "--json"],
            ["tasks", "--json"],
            ["broker", "show"],
            ["broker", "acl", "--for", "mosquitto"],
            ["approve", "nothing"],
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
        places: dict[str, list[bytes]] = {"a command's words": told, "the bus": heard}
        places["argv and environment"] = [
            Path(f"/proc/{process.pid}/{name}").read_bytes()
            for process in swarm.processes()
            for name in ("cmdline", "environ")
            if psutil.pid_exists(process.pid)
        ]
        places["panes"] = ["\n".join(swarm.tmux.capture(pane.pane_id, 2000)).encode() for pane in swarm.tmux.panes()]
        places["tmux"] = ["\n".join(swarm.tmux.run("show-environment", "-g")).encode()]
        own_files = store.folder_of(swarm.state)
        files = [path for path in swarm.state.root.rglob("*") if path.is_file() and own_files not in path.parents]
        places["files"] = [path.read_bytes() for path in files]
        for path in files:
            if path.suffix == ".db":
                with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
                    places[path.name] = ["\n".join(database.iterdump()).encode()]
        assert all(places.values()), "each place was looked into"
        assert any(b"done" in text for text in told)
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
