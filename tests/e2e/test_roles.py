"""The shipped layout as a real swarm: every type is asked for, and what was planted in small projects comes back."""

import http.client
import json
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

from swarm_tui.agent.handlers.registry import BUILTIN
from swarm_tui.protocol.topics import Kind
from tests.conftest import listening, pick_port
from tests.e2e.agents import Listener, alive
from tests.e2e.shell import NINE, Shell
from tests.e2e.test_cli_main_job import marked
from tests.wait import until

CLEAN = '"""Sums."""\n\n\ndef add(a: int, b: int) -> int:\n    """Add b to a."""\n    return a + b\n'
BUGGY = (
    '"""Runs."""\n\nimport subprocess\n\n\ndef run(command, seen=[]):\n'
    "    seen.append(command)\n    subprocess.call(command, shell=True)\n    return undefined_name\n"
)
SWARM = "opencto-dev"
KEY = "AKIA" + "Z7QPLMWXNV3RT5YB"
WRITER = (
    "import json; told = open(0).read(); open('made.py', 'w').write(told); "
    "text = told.partition('Goal: ')[2] or 'made it'; "
    "print(json.dumps({'kind': 'say', 'text': text, 'in': 3, 'out': 4, 'usd': 0.25}))"
)
COMMAND = 'import json; print(json.dumps({"result": {"path": json.load(open(0))["payload"]["path"]}}))'
SHIPPED = Path(__file__).parents[2] / "layouts" / "opencto-dev.yml"
#: What any agent must do at least: import paho and connect.
BARE = """
import sys
import paho.mqtt.client as mqtt
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "bare")
client.connect("127.0.0.1", int(sys.argv[1]))
client.loop_start()
client.subscribe("x/#")[0] or client.publish("x", "y", qos=1).wait_for_publish(10)
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmRSS")))
"""


def layout(port: int, socket: str, http_port: int) -> dict[str, Any]:
    """The shipped one and a general agent, on ports of the test's own, with two deployment targets: one is slow."""
    made: dict[str, Any] = yaml.safe_load(SHIPPED.read_text())
    assert sorted(agent["role"] for agent in made["agents"]) == sorted(NINE)
    healthy = {"command": ["grep", "-q", "healthy", "{path}/health.txt"], "within": 1, "interval": 0.2}
    slow = {"command": ["sleep", "60"], "within": 60}
    targets = {"site": {"path": "srv", "probe": healthy}, "slow": {"path": "slow", "probe": slow}}
    deploying = {"options": {"targets": targets}}
    event = {"when": {"kind": "say"}, "text": "text", "turn": True, "tokens": ["in", "out"], "cost": "usd"}
    writer = {"argv": [sys.executable, "-c", WRITER], "modes": {"edit": [], "read": []}, "events": [event]}
    by_cli = {"options": {"cli": "writer", "clis": {"writer": writer}}}
    extra: dict[str, Any] = {
        "deployment": {"handlers": {"deployment.deploy": deploying, "deployment.rollback": deploying}},
        "api-gateway": {"env": {"SWARM_HTTP_PORT": str(http_port)}},
    }
    general = {"code.generate": by_cli, "code.plan": by_cli, "agent-cli": by_cli, "llm": {}, "noop": {}}
    general["command"] = {"command": [sys.executable, "-c", COMMAND]}
    made["agents"] = [{**agent, **extra.get(agent["role"], {})} for agent in made["agents"]]
    made["agents"].append({"role": "general", "id": "general-01", "handlers": general})
    where = {"broker": {"url": f"mqtt://127.0.0.1:{port}"}, "tmux": {"socket": socket}, "session": f"r-{socket[-6:]}"}
    return {**made, **where}


class Swarm:
    """A swarm that is up, and an ear on it."""

    def __init__(self, shell: Shell, workdir: Path, port: int, http_port: int) -> None:
        self.shell, self.workdir, self.port, self.http_port = shell, workdir, port, http_port
        self.listener = Listener(f"mqtt://127.0.0.1:{port}", SWARM)
        self.published: set[str] = set()

    def publish(self, type_: str, payload: dict[str, Any]) -> str:
        self.published.add(type_)
        task_id = f"{type_}-{uuid.uuid4().hex[:6]}"
        self.listener.publish(type_, task_id, payload, max_attempts=1)
        return task_id

    def result(self, task_id: str) -> dict[str, Any]:
        """The result of a task that must succeed."""
        ears = self.listener

        def ended() -> bool:
            return bool(ears.all(Kind.TASK_COMPLETE, task_id=task_id) or ears.all(Kind.TASK_FAILED, task_id=task_id))

        until(ended, 40, f"the end of {task_id}; heard {ears.story()}")
        failed = ears.all(Kind.TASK_FAILED, task_id=task_id)
        assert not failed, failed[0].payload
        return dict(ears.all(Kind.TASK_COMPLETE, task_id=task_id)[0].payload["result"])

    def do(self, type_: str, **payload: Any) -> dict[str, Any]:
        return self.result(self.publish(type_, payload))

    def visit(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        """Ask at the HTTP door."""
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=20)
        try:
            given = {"Content-Type": "application/json", **{name.replace("_", "-"): v for name, v in headers.items()}}
            connection.request(method, path, None if body is None else json.dumps(body), given)
            reply = connection.getresponse()
            return reply.status, reply.read().decode()
        finally:
            connection.close()

    def error(self, type_: str, **payload: Any) -> dict[str, Any]:
        """What a task that must fail said."""
        task_id = self.publish(type_, payload)
        return dict(self.listener.wait(Kind.TASK_FAILED, 40, task_id=task_id).payload)


@pytest.fixture
def swarm(tmp_path: Path) -> Iterator[Swarm]:
    socket, port, http_port = f"swarm-test-{uuid.uuid4().hex[:8]}", pick_port(), pick_port()
    shell = Shell(tmp_path)
    (tmp_path / "roles.yml").write_text(yaml.safe_dump(layout(port, socket, http_port)))
    _projects(tmp_path)
    made = None
    try:
        shell.ok("up", "./roles.yml", "--detach", limit=90)
        made = Swarm(shell, tmp_path, port, http_port)
        yield made
    finally:
        if made is not None:
            made.listener.close()
        with suppress(subprocess.TimeoutExpired):
            shell("down", SWARM, "--now", limit=40)
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
    _idle_agents_are_small(swarm)
    _judges(swarm)
    _cancelled_tests_leave_nothing(swarm)
    _database(swarm)
    _others(swarm)
    _writers(swarm)
    _deploys(swarm)
    _the_door(swarm)
    # A merge is no task that anybody publishes: it is what becomes of one.
    assert swarm.published == set(BUILTIN) - {"code.merge"}, "every type was asked for"
    _a_deploy_whose_agent_dies_is_held(swarm)


def _idle_agents_are_small(swarm: Swarm) -> None:
    bare = subprocess.run([sys.executable, "-c", BARE, str(swarm.port)], capture_output=True, text=True, check=True)
    limit = 1.5 * 1024 * int(bare.stdout)
    sizes = {agent["agent_id"]: agent["memory_rss"] for agent in swarm.shell.json("status")["agents"]}
    assert len(sizes) == 10
    assert {agent_id: size for agent_id, size in sizes.items() if size > limit} == {}


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
    assert "\n# API\n" in (swarm.workdir / "holes/docs/api.md").read_text()
    assert (found["testing.run", "clean"]["passed"], found["testing.run", "holes"]["failed"]) == (1, 1)


def _cancelled_tests_leave_nothing(swarm: Swarm) -> None:
    """pytest has started a program that does not heed SIGTERM: 11 s after the cancel nothing of the group is there."""
    stubborn = "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(99)"
    code = (
        "import os, subprocess, sys\n\n\ndef test_long():\n"
        f"    child = subprocess.Popen([sys.executable, '-c', {stubborn!r}], stdout=subprocess.PIPE)\n"
        "    child.stdout.read(1)\n    open('pids', 'w').write(f'{os.getpid()} {child.pid} .')\n    child.wait()\n"
    )
    _write(swarm.workdir / "long/test_long.py", code)
    task_id, pids = swarm.publish("testing.run", {"path": "long"}), swarm.workdir / "pids"
    until(lambda: pids.exists() and pids.read_text().endswith("."), 20, "pytest runs")
    group = [int(word) for word in pids.read_text().split()[:2]]
    swarm.shell.ok("cancel", task_id)
    until(lambda: not any(map(alive, group)), 11, f"the end of {group}")
    assert swarm.listener.wait(Kind.TASK_FAILED, 20, task_id=task_id).payload["cause"] == "cancelled"


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
    assert swarm.do("noop", echo=[1]) == {"echo": [1]}
    assert swarm.do("command", path="x") == {"path": "x"}


def _writers(swarm: Swarm) -> None:
    made = swarm.do("code.generate", repo="clean", prompt="VALUE = 1\n")
    assert (made["files"], made["branch"].startswith("swarm/")) == (["made.py"], True)
    assert not (swarm.workdir / "clean/made.py").exists()
    parts = [{"title": "a", "prompt": "VALUE = 3", "files": [], "done": ""}]
    assert swarm.do("code.plan", repo="holes", goal=json.dumps({"parts": parts}))["parts"] == parts
    said = swarm.do("agent-cli", repo="holes", prompt="VALUE = 2\n")
    used = {"tokens_in": 7, "tokens_out": 0, "tokens_cached": 0, "cost": 0.25}
    assert (said["text"], said["usage"]) == ("made it", used)
    assert (swarm.workdir / "holes/made.py").read_text() == "VALUE = 2\n"
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
    said = [event.payload["status"] for event in swarm.listener.all(Kind.DEPLOYMENT_STATUS)]
    assert said[:4] == ["preflight", "publishing", "probing", "deployed"]
    assert "rolled-back" in said


def _the_door(swarm: Swarm) -> None:
    """A task over HTTP is one task however often it is posted; metrics know what was done."""
    online = 'swarm_agents{state="online"} 10.0'
    # Its agent is registered before its door is open.
    until(lambda: listening(swarm.http_port), 30, "the door")
    answers = [swarm.visit("POST", "/tasks", {"type": "noop"}, Idempotency_Key="k1") for _ in range(2)]
    assert [status for status, _ in answers] == [202, 202]
    task_id = json.loads(answers[0][1])["task_id"]
    assert json.loads(answers[1][1])["task_id"] == task_id
    swarm.result(task_id)
    assert swarm.visit("POST", "/tasks", {"type": "llm", "payload": {"prompt": "hi"}}, Idempotency_Key="k1")[0] == 409
    status, row = swarm.visit("GET", f"/tasks/{task_id}")
    assert (status, json.loads(row)["state"]) == (200, "complete")
    until(lambda: online in swarm.visit("GET", "/metrics")[1], 10, "all agents are online at the door")
    page = swarm.visit("GET", "/metrics")[1]
    assert 'swarm_task_duration_seconds_count{state="complete",type="noop"}' in page
    assert "swarm_queue_depth 0.0" in page


def _a_deploy_whose_agent_dies_is_held(swarm: Swarm) -> None:
    rows = {agent["agent_id"]: agent for agent in swarm.shell.json("status")["agents"]}
    before = len(swarm.listener.all(Kind.REGISTER, agent_id="deployment-01"))
    task_id = swarm.publish(
        "deployment.deploy", {"service": "shop", "version": "4", "source": "site", "target": "slow"}
    )
    swarm.listener.wait(Kind.DEPLOYMENT_STATUS, 20, task_id=task_id, status="probing")
    os.kill(rows["deployment-01"]["pid"], signal.SIGKILL)
    until(lambda: len(swarm.listener.all(Kind.REGISTER, agent_id="deployment-01")) > before, 20, "a new deployment-01")
    swarm.listener.wait(Kind.TASK_HELD, 45, task_id=task_id)
    assert os.readlink(swarm.workdir / "slow/shop/current") == "releases/4"
    assert len(swarm.listener.all(Kind.TASK_STARTED, task_id=task_id)) == 1
    assert swarm.shell.json("tasks", task_id)["state"] == "held"
