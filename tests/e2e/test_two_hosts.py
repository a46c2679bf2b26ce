"""Two hosts over TLS: network namespaces, each with its own tmux, state and home, joined by one file that is copied."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from swarm_tui.config.own_broker import authority_path
from swarm_tui.config.own_process import own_argv
from swarm_tui.config.paths import broker_dir
from tests.wait import until

#: Seconds in which whoever is revoked is out.
OUT_WITHIN = 1.0


def ip(*words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["ip", *words], capture_output=True, text=True, check=True, timeout=10)


class Host:
    """A machine: a network of its own, and folders of its own."""

    def __init__(self, name: str, net: str, address: str, folder: Path) -> None:
        self.name, self.net, self.address, self.folder = name, net, address, folder
        folder.mkdir()
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("MQTT_", "OPENCTO_", "SWARM_"))}
        for variable in (
            "HOME",
            "XDG_STATE_HOME",
            "XDG_CONFIG_HOME",
            "XDG_CACHE_HOME",
            "XDG_RUNTIME_DIR",
            "TMUX_TMPDIR",
        ):
            place = folder / variable.lower().replace("_", "")
            place.mkdir(mode=0o700)
            self.env[variable] = str(place)
        self.socket = f"swarm-test-{uuid.uuid4().hex[:8]}"

    def __call__(self, *words: str, limit: float = 90.0) -> "subprocess.CompletedProcess[str]":
        """One command on this host."""
        line = ["ip", "netns", "exec", self.net, *words]
        return subprocess.run(
            line, env=self.env, cwd=self.folder, capture_output=True, text=True, timeout=limit, check=False,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def swarm(self, *words: str, limit: float = 90.0) -> "subprocess.CompletedProcess[str]":
        return self(*own_argv("swarm_tui", *words), limit=limit)

    def ok(self, *words: str, limit: float = 90.0) -> str:
        done = self.swarm(*words, limit=limit)
        assert done.returncode == 0, f"{self.name}: {words}: {done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self.ok(*words, "--json"))

    def layout(self, name: str, **document: Any) -> str:
        path = self.folder / f"{name}.yml"
        told = {"swarm": name, "session": name, "tmux": {"socket": self.socket}, "workdir": str(self.folder)}
        path.write_text(yaml.safe_dump({**told, **document}))
        return str(path)

    def close(self) -> None:
        """End all that runs in its network: there is nothing else in it."""
        with suppress(subprocess.SubprocessError):
            for _ in range(50):
                pids = ip("netns", "pids", self.net).stdout.split()
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), 9)
                if not pids:
                    break
                time.sleep(0.05)
        with suppress(subprocess.SubprocessError):
            ip("netns", "del", self.net)


@pytest.fixture
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    """Two of them, with a cable between."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("network namespaces are for root, with iproute2")
    pytest.importorskip("cryptography", reason="a local authority needs the extra `secure`")
    mark = uuid.uuid4().hex[:6]
    number = int(mark[:2], 16)
    made: list[Host] = []
    # A socket's path has at most 107 bytes: a folder named as the test is too long.
    base = Path(tempfile.mkdtemp(prefix="h", dir=tmp_path_factory.getbasetemp()))
    try:
        for index, name in enumerate(("home", "helper"), 1):
            net, end = f"st{mark}{index}", f"v{mark}{index}"
            try:
                ip("netns", "add", net)
            except subprocess.CalledProcessError as error:
                pytest.skip(f"no network namespace can be made here: {error.stderr.strip()}")
            made.append(Host(name, net, f"10.213.{number}.{index}", base / name))
            if index == 1:
                ip("link", "add", end, "netns", net, "type", "veth", "peer", "name", f"v{mark}2")
            else:
                ip("link", "set", end, "netns", net)
            for words in (
                ["addr", "add", f"{made[-1].address}/24", "dev", end],
                ["link", "set", end, "up"],
                ["link", "set", "lo", "up"],
            ):
                ip("-n", net, *words)
        yield made[0], made[1]
    finally:
        for host in made:
            host.close()


def test_a_second_host_joins_over_tls_works_and_is_thrown_out(hosts: tuple[Host, Host]) -> None:
    home, helper = hosts
    broker = {"url": f"mqtts://{home.address}:8883", "secure": True}
    boss = {"role": "task-manager", "id": "boss"}
    home.ok("up", home.layout("two", broker=broker, agents=[boss]), "--host", "home", "--detach")
    told = home.ok("broker", "add", "helper", "--as", "host", "--swarm", "two")
    (join,) = (Path(line.strip()) for line in told.splitlines() if line.strip().endswith(".join"))
    copied = helper.folder / "helper.join"
    shutil.copy(join, copied)
    words = {"command": [sys.executable, "-c", "print('words of the helper')"]}
    slowly = {"command": ["sleep", "600"]}
    far = {"role": "general", "id": "far-01", "handlers": {"far.work": words, "far.slow": slowly}}
    layout = helper.layout("two", agents=[far])
    said = helper.swarm("up", layout, "--join", str(copied), "--detach")
    assert said.returncode == 0, said.stdout + said.stderr

    # It works, and is seen from the swarm's own host: agent, pane, task, log.
    until(
        lambda: (
            {row["agent_id"]: row["state"] for row in home.json("status", "--swarm", "two")["agents"]}
            == {"boss": "online", "far-01": "online"}
        ),
        limit=30.0,
        what="the helper's agent",
    )
    home.ok("publish", "far.work", "--task-id", "t1", "--wait", "--swarm", "two")
    row = home.json("tasks", "t1", "--swarm", "two")
    assert (row["state"], row["agent_id"]) == ("complete", "far-01")
    assert "far.work" in home.ok("logs", "far-01", "--swarm", "two")
    assert "words of the helper" in home.ok("logs", "--task", "t1", "--swarm", "two")
    panes = helper("tmux", "-L", helper.socket, "list-panes", "-a", "-F", "#{pane_id}").stdout.split()
    assert panes, "its panes are on the helper"
    # Nobody reads along the cable, and nobody comes in without a name.
    authority = helper.folder / "ca.pem"
    authority.write_bytes(authority_path(broker_dir(8883, Path(home.env["XDG_STATE_HOME"]) / "swarm-tui")).read_bytes())
    line = ["mosquitto_pub", "-h", home.address, "-p", "8883", "-t", "two/tasks/new", "-m", "{}"]
    anonymous = helper(*line, "--cafile", str(authority))
    assert (anonymous.returncode, "not authorised" in anonymous.stderr) == (5, True), anonymous.stderr
    assert helper(*line).returncode not in (0, 5), "without TLS there is no broker"

    # A person there asks and publishes by the host's own key, in this swarm that is closed to guests; that is no order.
    helper.ok("publish", "far.work", "--task-id", "t2", "--wait", "--swarm", "two")
    assert {row["task_id"]: row["state"] for row in helper.json("tasks", "--swarm", "two")} == {
        "t1": "complete", "t2": "complete",
    }  # fmt: skip
    assert helper.json("tasks", "t2", "--swarm", "two")["hops"][0]["by"] == "host:helper"
    assert helper.json("status", "--swarm", "two")["guests"] == "none"
    refused = helper.swarm("halt", "evil", "--swarm", "two")
    assert (refused.returncode, "name an operator's join file by --identity" in refused.stderr) == (1, True), refused
    # With an operator's it is one, which the swarm's own host carries out.
    home.ok("broker", "add", "ann", "--as", "operator", "--swarm", "two")
    shutil.copy(join.with_name("ann.join"), helper.folder / "ann.join")
    helper.ok("restart", "far-01", "--identity", str(helper.folder / "ann.join"), "--swarm", "two")
    helper.ok("halt", "bad release", "--identity", str(helper.folder / "ann.join"), "--swarm", "two")
    assert home.json("status", "--swarm", "two")["halted"] == "bad release"
    helper.ok("resume", "--identity", str(helper.folder / "ann.join"), "--swarm", "two")

    # It is thrown out within a second, and can do nothing after.
    def connected() -> bool:
        seen = helper("ss", "-Htn", "state", "established", "dport", "=", ":8883").stdout
        return bool(seen.strip())

    assert connected()
    home.ok("publish", "far.slow", "--task-id", "slow", "--swarm", "two")
    until(lambda: home.json("tasks", "slow", "--swarm", "two")["state"] == "running", what="a task to run there")
    began = time.monotonic()
    home.ok("broker", "revoke", "helper", "--swarm", "two")
    revoked = time.monotonic()
    until(lambda: not connected(), limit=OUT_WITHIN + 5.0, what="its connections to end")
    out = time.monotonic()
    print(f"revoke took {revoked - began:.2f} s, and {out - revoked:.2f} s later the helper was out")
    assert out - revoked < OUT_WITHIN
    until(lambda: home.json("tasks", "slow", "--swarm", "two")["state"] == "queued", what="its task to be anybody's")
    slow = home.json("tasks", "slow", "--swarm", "two")
    assert "the host of far-01 was revoked" in [hop.get("detail") for hop in slow["hops"]], slow["hops"]
    assert helper.swarm("publish", "far.work", "--task-id", "evil", "--swarm", "two", limit=120).returncode != 0
    assert helper.swarm("up", layout, "--join", str(copied), "--detach", "--wait", "3").returncode != 0
    assert home.swarm("tasks", "evil", "--swarm", "two").returncode == 4
    assert not connected()
