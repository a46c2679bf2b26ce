"""Who leads a swarm is moved to another host by a person's word, with the swarm's own keys or with others."""

import os
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.conftest import RealBroker
from tests.e2e.shell import Shell
from tests.wait import until

SWARM = "moved"
VARIABLES = ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "TMUX_TMPDIR")


class Place(Shell):
    """A host, as far as folders and a name make one."""

    def __init__(self, name: str, folder: Path, broker: str) -> None:
        super().__init__(folder)
        folder.mkdir()
        self.name, self.broker = name, broker
        self.socket = f"swarm-test-{uuid.uuid4().hex[:8]}"
        for variable in VARIABLES:
            place = folder / variable.lower()
            place.mkdir(mode=0o700)
            self.env[variable] = str(place)

    def up(self, *more: str, leader: str = "boss") -> "subprocess.CompletedProcess[str]":
        quick = {"quick": {"command": ["echo", "{}"]}}
        told = {
            "swarm": SWARM, "session": SWARM, "host": self.name, "tmux": {"socket": self.socket},
            "broker": {"url": self.broker, "embedded": "never"},
            "agents": [
                {"role": "task-manager", "id": leader},
                {"role": "general", "id": f"w-{self.name}", "handlers": quick},
            ],
        }  # fmt: skip
        (self.cwd / "l.yml").write_text(yaml.safe_dump(told))
        return self("up", "l.yml", "--detach", *more, limit=90)

    @property
    def state(self) -> Path:
        return Path(self.env["XDG_STATE_HOME"]) / "swarm-tui" / SWARM

    def leader(self) -> str:
        told = self.json("status", "--swarm", SWARM)["dispatcher"]
        return f"{told['agent_id']} {told['instance'].partition('/')[0]}" if told and told["online"] else ""

    def close(self) -> None:
        self("down", SWARM, "--now")
        subprocess.run(["tmux", "-L", self.socket, "kill-server"], env=self.env, capture_output=True, check=False)


@pytest.fixture
def places(tmp_path_factory: pytest.TempPathFactory, real_broker: RealBroker) -> Iterator[tuple[Place, Place]]:
    # A socket's path has at most 107 bytes: a folder named as the test is too long.
    base = tmp_path_factory.getbasetemp() / f"t{uuid.uuid4().hex[:4]}"
    base.mkdir()
    made = [Place(name, base / name, real_broker.url) for name in ("one", "two")]
    yield made[0], made[1]
    for place in made:
        place.close()


def said(done: "subprocess.CompletedProcess[str]", code: int) -> str:
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def brought(one: Place, two: Place) -> None:
    """Copy the swarm's keys and its journal to the other host."""
    two.state.mkdir(mode=0o700, parents=True)
    shutil.copytree(one.state / "identity", two.state / "identity")
    (two.state / "identity").chmod(0o700)
    with (
        closing(sqlite3.connect(one.state / "dispatch.db")) as old,
        closing(sqlite3.connect(two.state / "dispatch.db")) as new,
    ):
        old.backup(new)


def test_with_the_swarms_keys_another_host_leads_and_the_first_one_stands_by(places: tuple[Place, Place]) -> None:
    one, two = places
    said(one.up(), 0)
    one.ok("publish", "quick", "--task-id", "before", "--wait", "--swarm", SWARM)
    until(lambda: one.json("tasks", "before", "--swarm", SWARM)["state"] == "complete", what="its end to be written")
    brought(one, two)
    said(two.up(leader="boss-two"), 0)
    belongs = "this journal belongs to one and the broker"
    until(lambda: belongs in two.ok("logs", "boss-two", "--swarm", SWARM), what="the second to stand by unasked")
    assert one.leader() == two.leader() == "boss one"
    said(two.up("--take-over", "--yes", leader="boss-two"), 0)
    until(lambda: one.leader() == two.leader() == "boss-two two", what="the other to lead, for both")
    until(lambda: "standing by: two/" in one.ok("logs", "boss", "--swarm", SWARM), what="the first to stand by")
    for place in places:
        place.ok("publish", "quick", "--task-id", f"of-{place.name}", "--wait", "--swarm", SWARM)
    for place in places:
        tasks = {row["task_id"]: row["state"] for row in place.json("tasks", "--swarm", SWARM)}
        assert tasks == dict.fromkeys(("before", "of-one", "of-two"), "complete"), place.name


@pytest.mark.drill
def test_a_leader_of_that_name_is_stopped_where_it_runs_before_it_begins_here(places: tuple[Place, Place]) -> None:
    one, two = places
    said(one.up(), 0)
    brought(one, two)
    said(two.up(leader="boss-two"), 0)
    for _ in range(2):
        told = said(two.up("--take-over", "--yes", "--wait", "4"), 1)
        assert "boss: starting: it runs on the host one: stop it there" in told
    assert one.leader() == "boss one"
    two.ok("stop", "boss", "--swarm", SWARM)
    said(two.up("--take-over", "--yes"), 0)
    until(lambda: one.leader() == "boss two", what="the other to lead")


def test_with_other_keys_nobody_is_pushed_out_who_lives(places: tuple[Place, Place]) -> None:
    one, two = places
    said(one.up(), 0)
    is_led = f"{SWARM} is led at {one.broker} already, by boss (one), by keys that this host has not"
    assert is_led in said(two.up(), 1)
    told = said(two.up("--take-over", "--yes"), 1)
    assert is_led in told
    assert "--take-over" not in told, "that is no way as long as the other lives"
    assert sorted(os.listdir(two.state)) == ["agents", "locks", "logs", "work"], "nothing of it is left, and no word"
    assert one.leader() == "boss one"
    one.ok("publish", "quick", "--wait", "--swarm", SWARM)
    one.ok("down", SWARM)
    said(two.up(), 0)
    assert two.leader() == "boss two"
