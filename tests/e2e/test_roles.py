"""Every role in a real swarm: what was planted in small real projects comes back, with its file and line."""

import os
import signal
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from swarm_tui.protocol.topics import Kind
from tests.conftest import pick_port
from tests.e2e.agent_ground import Ear
from tests.e2e.cli_ground import NINE, Shell
from tests.e2e.test_cli_main_job import marked
from tests.wait import until

CLEAN = '"""Sums."""\n\n\ndef add(a: int, b: int) -> int:\n    """Add b to a."""\n    return a + b\n'
BUGGY = (
    '"""Runs."""\n\nimport subprocess\n\n\ndef run(command, seen=[]):\n'
    "    seen.append(command)\n    subprocess.call(command, shell=True)\n    return undefined_name\n"
)
KEY = "AKIA" + "Z7QPLMWXNV3RT5YB"
WRITER = "open('made.py', 'w').write(open(0).read())"


def layout(port: int, socket: str) -> dict[str, Any]:
    """Nine roles and a general agent; two deployment targets, one of them slow to become healthy."""
    healthy = {"command": ["grep", "-q", "healthy", "{path}/health.txt"], "within": 1, "interval": 0.2}
    slow = {"command": ["sleep", "60"], "within": 60}
    targets = {"site": {"path": "srv", "probe": healthy}, "slow": {"path": "slow", "probe": slow}}
    deploying = {"options": {"targets": targets}}
    writer = {"argv": [sys.executable, "-c", WRITER], "modes": {"edit": []}}
    extra: dict[str, Any] = {
        "deployment": {"handlers": {"deployment.deploy": deploying, "deployment.rollback": deploying}},
        "api-gateway": {"env": {"SWARM_HTTP_PORT": str(pick_port())}},
        "general": {
            "handlers": {"code.generate": {"options": {"cli": "writer", "clis": {"writer": writer}}}, "llm": {}}
        },
    }
    return {
        "swarm": "roles",
        "session": f"roles-{socket[-6:]}",
        "broker": {"url": f"mqtt://127.0.0.1:{port}"},
        "tmux": {"socket": socket},
        "agents": [{"role": role, "id": f"{role}-01", **extra.get(role, {})} for role in (*NINE, "general")],
    }


class Swarm:
    """A swarm that is up, and an ear on it."""

    def __init__(self, shell: Shell, workdir: Path, port: int) -> None:
        self.shell, self.workdir = shell, workdir
        self.ear = Ear(f"mqtt://127.0.0.1:{port}", "roles")

    def publish(self, type_: str, payload: dict[str, Any]) -> str:
        task_id = f"{type_}-{uuid.uuid4().hex[:6]}"
        self.ear.publish(type_, task_id, payload, max_attempts=1)
        return task_id

    def result(self, task_id: str) -> dict[str, Any]:
        """The result of a task that must succeed."""
        ears = self.ear

        def ended() -> bool:
            return bool(ears.all(Kind.TASK_COMPLETE, task_id=task_id) or ears.all(Kind.TASK_FAILED, task_id=task_id))

        until(ended, 40, f"the end of {task_id}; heard {ears.story()}")
        failed = ears.all(Kind.TASK_FAILED, task_id=task_id)
        assert not failed, failed[0].payload
        return dict(ears.all(Kind.TASK_COMPLETE, task_id=task_id)[0].payload["result"])

    def do(self, type_: str, **payload: Any) -> dict[str, Any]:
        return self.result(self.publish(type_, payload))

    def error(self, type_: str, **payload: Any) -> dict[str, Any]:
        """What a task that must fail said."""
        task_id = self.publish(type_, payload)
        return dict(self.ear.wait(Kind.TASK_FAILED, 40, task_id=task_id).payload)


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    socket, port = f"swarm-test-{uuid.uuid4().hex[:8]}", pick_port()
    shell = Shell(tmp_path)
    (tmp_path / "roles.yml").write_text(yaml.safe_dump(layout(port, socket)))
    _projects(tmp_path)
    made = None
    try:
        shell.ok("up", "./roles.yml", "--detach", limit=90)
        made = Swarm(shell, tmp_path, port)
        yield made
    finally:
        if made is not None:
            made.ear.close()
        with suppress(subprocess.TimeoutExpired):
            shell("down", "roles", "--now", limit=40)
        subprocess.run(["tmux", "-L", socket, "kill-server"], capture_output=True, check=False)
        for pid in marked(shell.env["TMUX_TMPDIR"]):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _projects(folder: Path) -> None:
    """A clean project and one with holes, both git repositories; a database; a site."""
    for name in ("clean", "holes"):
        _write(folder / name / "sums.py", CLEAN)
        _write(folder / name / "test_sums.py", "from sums import add\n\n\ndef test_add():\n    assert add(1, 2) == 3\n")
        _git(folder / name, "init", "-q", "-b", "main")
        _git(folder / name, "add", "-A")
        _git(folder / name, "commit", "-q", "-m", "first")
    _write(folder / "holes/run.py", BUGGY)
    _write(folder / "holes/keys.py", f'"""Keys."""\n\nAWS = "{KEY}"\n')
    _write(folder / "holes/requirements.txt", "requests>=2\n")
    _write(folder / "holes/README.md", "# Holes\n\n[gone](gone.md)\n")
    _write(folder / "holes/test_bad.py", "def test_bad():\n    assert 1 == 2\n")
    _git(folder / "holes", "add", "-A")
    _git(folder / "holes", "commit", "-q", "-m", "second")
    with closing(sqlite3.connect(folder / "app.db")) as database, database:
        database.execute("CREATE TABLE old (a)")
    _write(folder / "migrations/1_users.sql", "CREATE TABLE users (name TEXT);\n")
    _site(folder, "healthy")


def _site(folder: Path, health: str) -> None:
    _write(folder / "site/health.txt", health)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def _git(folder: Path, *argv: str) -> None:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    subprocess.run(["git", *identity, *argv], cwd=folder, check=True, capture_output=True)


def places(rows: list[dict[str, Any]]) -> set[tuple[str, int, str]]:
    return {(row["file"], row["line"], row["code"]) for row in rows}


def test_every_role_does_its_work(swarm: Swarm) -> None:
    _judges(swarm)
    _database(swarm)
    _others(swarm)
    _deploys(swarm)
    _a_deploy_whose_agent_dies_is_held(swarm)


def _judges(swarm: Swarm) -> None:
    """Reviewer, security, docs and testing: what was planted, and nothing where nothing was."""
    asked = {
        (type_, name): swarm.publish(type_, {"repo": name, **payload})
        for name in ("clean", "holes")
        for type_, payload in (
            ("code.review", {"head": "main"}),
            ("security.scan", {}),
            ("security.audit", {"online": "never"}),
            ("documentation.generate", {"output": "docs/api.md"}),
        )
    }
    asked |= {("testing.run", name): swarm.publish("testing.run", {"path": name}) for name in ("clean", "holes")}
    found = {key: swarm.result(task_id) for key, task_id in asked.items()}
    for type_ in ("code.review", "security.scan", "security.audit", "documentation.generate"):
        clean = found[type_, "clean"]
        assert clean.get("comments", clean.get("findings")) == [], (type_, clean)
    review = found["code.review", "holes"]
    assert places(review["comments"]) == {("run.py", 6, "B006"), ("run.py", 9, "F821")}
    assert (review["approved"], found["code.review", "clean"]["approved"]) == (False, True)
    scan = places(found["security.scan", "holes"]["findings"])
    assert {("run.py", 8, "B602"), ("keys.py", 3, "aws-access-key")} <= scan
    assert places(found["security.audit", "holes"]["findings"]) == {("requirements.txt", 1, "unpinned")}
    docs = found["documentation.generate", "holes"]
    assert places(docs["findings"]) == {("run.py", 6, "undocumented"), ("README.md", 3, "broken-link")}
    assert (swarm.workdir / "holes/docs/api.md").read_text().startswith("# API")
    assert (found["testing.run", "clean"]["passed"], found["testing.run", "holes"]["failed"]) == (1, 1)


def _database(swarm: Swarm) -> None:
    assert swarm.do("database.migrate", target="app.db")["version"] == 1
    _write(swarm.workdir / "migrations/2_bad.sql", "CREATE TABLE fine (a);\nINSERT INTO nowhere VALUES (1);\n")
    error = swarm.error("database.migrate", target="app.db")
    assert "2_bad.sql:2: no such table: nowhere" in str(error["error"])
    backup = swarm.do("database.backup", target="app.db", output="backups/app.db")
    assert backup["tables"] == {"old": 0, "schema_migrations": 1, "users": 0}


def _others(swarm: Swarm) -> None:
    """Coverage, monitoring, the door, generated code, and a model that is not there."""
    coverage = swarm.do("testing.coverage", path="clean", source="clean", threshold=50)
    assert coverage["verdict"] == "passed", coverage
    health = swarm.do("monitoring.health")
    assert health, health
    assert "alerts" in swarm.do("monitoring.alerts")
    assert swarm.do("gateway.probe")
    made = swarm.do("code.generate", repo="clean", prompt="VALUE = 1\n")
    assert (made["files"], made["branch"].startswith("swarm/")) == (["made.py"], True)
    assert not (swarm.workdir / "clean/made.py").exists()
    assert "no model is configured" in str(swarm.error("llm", prompt="hello")["error"])


def _deploys(swarm: Swarm) -> None:
    live = swarm.workdir / "srv/shop/current"
    first = swarm.do("deployment.deploy", service="shop", version="1.0", source="site")
    assert (first["status"], os.readlink(live)) == ("deployed", "releases/1.0")
    _site(swarm.workdir, "sick")
    error = swarm.error("deployment.deploy", service="shop", version="2.0", source="site")
    assert "rolled back: 1.0 is live" in str(error["error"])
    assert os.readlink(live) == "releases/1.0"
    _site(swarm.workdir, "healthy again")
    swarm.do("deployment.deploy", service="shop", version="3.0", source="site")
    back = swarm.do("deployment.rollback", service="shop")
    assert (back["live"], os.readlink(live)) == ("1.0", "releases/1.0")
    said = [event.payload["status"] for event in swarm.ear.all(Kind.DEPLOYMENT_STATUS)]
    assert said[:4] == ["preflight", "publishing", "probing", "deployed"]
    assert "rolled-back" in said


def _a_deploy_whose_agent_dies_is_held(swarm: Swarm) -> None:
    rows = {agent["agent_id"]: agent for agent in swarm.shell.json("status")["agents"]}
    before = len(swarm.ear.all(Kind.REGISTER, agent_id="deployment-01"))
    task_id = swarm.publish(
        "deployment.deploy", {"service": "shop", "version": "4", "source": "site", "target": "slow"}
    )
    swarm.ear.wait(Kind.DEPLOYMENT_STATUS, 20, task_id=task_id, status="probing")
    os.kill(rows["deployment-01"]["pid"], signal.SIGKILL)
    until(lambda: len(swarm.ear.all(Kind.REGISTER, agent_id="deployment-01")) > before, 20, "a new deployment-01")
    swarm.ear.wait(Kind.TASK_HELD, 45, task_id=task_id)
    assert os.readlink(swarm.workdir / "slow/shop/current") == "releases/4"
    assert len(swarm.ear.all(Kind.TASK_STARTED, task_id=task_id)) == 1
    assert swarm.shell.json("tasks", task_id)["state"] == "held"
