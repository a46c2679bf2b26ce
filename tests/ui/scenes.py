"""Swarms in known states, told message by message: calm, trouble, broker lost, empty."""

from swarm_tui.protocol import bodies as b
from swarm_tui.protocol.names import ROLE_TYPES
from swarm_tui.protocol.topics import Kind
from swarm_tui.ui.model.source import TaskType
from tests.ui.fake import Clock, FakeSource

AGENTS = [
    ("api-gateway-01", "api-gateway"),
    ("code-review-01", "code-review"),
    ("database-01", "database"),
    ("deployment-01", "deployment"),
    ("docs-01", "docs"),
    ("monitoring-01", "monitoring"),
    ("security-01", "security"),
    ("task-manager-01", "task-manager"),
    ("testing-01", "testing"),
]

TYPES = [
    TaskType(
        name="code.review",
        summary="Read a change and say what is wrong with it",
        roles=["code-review"],
        schema={
            "type": "object",
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "description": "The repository, or a file in it"},
                "base": {"type": "string", "description": "Compare with this revision", "default": "main"},
                "depth": {
                    "enum": ["quick", "normal", "deep"],
                    "description": "How closely to look",
                    "default": "normal",
                },
                "limit": {"type": "integer", "minimum": 1, "maximum": 500, "description": "Findings at most"},
            },
        },
        templates={"this folder": {"path": "."}, "deep": {"path": ".", "depth": "deep"}},
    ),
    TaskType(
        name="testing.run",
        summary="Run a project's tests",
        roles=["testing"],
        schema={
            "type": "object",
            "required": ["path"],
            "properties": {
                "path": {"type": "string", "description": "The project"},
                "args": {"type": "array", "description": "More arguments"},
            },
        },
    ),
    TaskType(name="testing.coverage", summary="Measure what the tests reach", roles=["testing"]),
    TaskType(name="deployment.deploy", summary="Deploy a target", roles=["deployment"], approve=True),
    TaskType(name="database.migrate", summary="Migrate a database", roles=["database"]),
]


def build(clock: Clock) -> FakeSource:
    """A swarm with nobody in it, the link not up."""
    return FakeSource(clock, types=TYPES)


def start(source: FakeSource, clock: Clock) -> None:
    """Nine agents that have beaten for a few minutes, one dispatcher, one supervisor."""
    now = clock()
    source.link(True)
    source.say(
        "task-manager-01",
        Kind.DISPATCHER,
        b.Dispatcher(instance="i-1", epoch=3, agent_id="task-manager-01"),
        role="task-manager",
    )
    panes = [
        b.PaneStatus(agent_id=name, role=role, pid=4000 + n, pane_id=f"%{n}", incarnation=f"inc-{n}", restarts=0)
        for n, (name, role) in enumerate(AGENTS)
    ]
    source.say(
        "supervisor",
        Kind.HOST_STATUS,
        b.HostStatus(panes=panes, session="opencto", socket="swarm-tui", pid=3999),
        "devbox",
    )
    for n, (name, role) in enumerate(AGENTS):
        source.say(
            name,
            Kind.STATUS,
            b.Status(
                status="online",
                role=role,
                incarnation=f"inc-{n}",
                host="devbox",
                pid=4000 + n,
                started_at=now - 4000 - 60 * n,
                capabilities=[*ROLE_TYPES[role]],
                capacity=1,
                active=0,
                version="0.1.0",
            ),
            name,
            role=role,
            at=now - 130,
        )
    for step in range(12, -1, -1):
        beat(source, clock, now - step * 10 - 2)


def beat(source: FakeSource, clock: Clock, at: float, without: tuple[str, ...] = ()) -> None:
    """One heartbeat of each agent."""
    for n, (name, role) in enumerate(AGENTS):
        if name not in without:
            cpu = float((n * 7 + int(at) // 10 * 13) % 40)
            source.say(
                name,
                Kind.HEARTBEAT,
                b.Heartbeat(
                    agent_id=name,
                    uptime=at - clock() + 4000,
                    memory={"rss": (20 + n * 3 + int(at) // 10 % 3) * 1024 * 1024},
                    cpu=cpu,
                    state="online",
                    capacity=1,
                    active=0,
                    incarnation=f"inc-{n}",
                ),
                role=role,
                at=at - n * 0.1,
            )


def task(
    source: FakeSource,
    clock: Clock,
    task_id: str,
    kind: str,
    agent: str | None = None,
    *,
    ago: float = 60.0,
    progress: float | None = None,
    message: str = "",
    end: str = "",
    error: str = "",
    priority: str = "medium",
    attempt: int = 1,
    payload: dict | None = None,  # type: ignore[type-arg]
) -> None:
    """One task's life as far as it went."""
    at = clock() - ago
    boss = "task-manager-01"
    source.say(
        "operator:ada@devbox",
        Kind.TASK_NEW,
        b.Task(task_id=task_id, type=kind, payload=payload or {"path": "."}, priority=priority),
        at=at,
    )  # type: ignore[arg-type]
    source.say(
        boss,
        Kind.TASK_QUEUED,
        b.Queued(task_id=task_id, attempt=attempt, position=0),
        role="task-manager",
        at=at + 0.02,
    )
    if agent is None:
        if end == "held":
            source.say(
                boss,
                Kind.TASK_HELD,
                b.TaskVerdict(task_id=task_id, attempt=attempt, reason=error, state=None),
                role="task-manager",
                at=at + 1,
            )
        if end == "approve":
            source.say(
                boss,
                Kind.TASK_HELD,
                b.TaskVerdict(task_id=task_id, attempt=attempt, reason=error, state="awaiting-approval"),
                role="task-manager",
                at=at + 1,
            )
        return
    source.say(
        boss,
        Kind.TASK_ASSIGNED,
        b.Assigned(task_id=task_id, agent_id=agent, attempt=attempt, epoch=3, lease=30.0),
        role="task-manager",
        at=at + 0.05,
    )
    source.say(
        agent, Kind.TASK_STARTED, b.Started(task_id=task_id, agent_id=agent, attempt=attempt, epoch=3), at=at + 0.08
    )
    if not end and agent in dict(AGENTS):
        number = [name for name, _ in AGENTS].index(agent)
        source.say(
            agent,
            Kind.STATUS,
            b.Status(
                status="busy",
                role=dict(AGENTS)[agent],
                incarnation=f"inc-{number}",
                host="devbox",
                pid=4000 + number,
                started_at=clock() - 4000 - 60 * number,
                capacity=1,
                active=1,
            ),
            agent,
            at=at + 0.1,
        )
    if progress is not None:
        source.say(
            agent,
            Kind.TASK_PROGRESS,
            b.Progress(task_id=task_id, agent_id=agent, attempt=attempt, progress=progress, message=message),
            at=at + ago * 0.8,
        )
    done = at + ago * 0.9
    if end in ("complete", "badly"):
        bad = int(end == "badly")
        source.say(
            agent,
            Kind.TASK_COMPLETE,
            b.Complete(
                task_id=task_id,
                agent_id=agent,
                attempt=attempt,
                epoch=3,
                duration=ago * 700,
                result={
                    "passed": 42 - bad,
                    "failed": bad,
                    "files": ["a.py", "b.py"],
                    "verdict": "failed" if bad else "passed",
                },
            ),
            at=done,
        )
    elif end == "failed":
        source.say(
            agent,
            Kind.TASK_FAILED,
            b.Failed(
                task_id=task_id,
                agent_id=agent,
                attempt=attempt,
                epoch=3,
                duration=ago * 700,
                error=b.ErrorInfo(message=error, code="failed"),
                retryable=False,
            ),
            at=done,
        )
    elif end in ("dead", "held", "retrying"):
        kind_of = {"dead": Kind.TASK_DEAD, "held": Kind.TASK_HELD, "retrying": Kind.TASK_RETRYING}[end]
        source.say(
            agent,
            Kind.TASK_FAILED,
            b.Failed(
                task_id=task_id,
                agent_id=agent,
                attempt=attempt,
                epoch=3,
                duration=ago * 700,
                error=b.ErrorInfo(message=error, code="failed"),
                retryable=True,
            ),
            at=done,
        )
        source.say(
            boss,
            kind_of,
            b.TaskVerdict(task_id=task_id, attempt=attempt, reason=error, delay=20.0),
            role="task-manager",
            at=done + 0.1,
        )


def calm(source: FakeSource, clock: Clock) -> None:
    """All is well, some work runs."""
    start(source, clock)
    for n in range(12):
        task(
            source,
            clock,
            f"task_{n:02d}f3a9c1",
            "testing.run" if n % 2 else "code.review",
            "testing-01" if n % 2 else "code-review-01",
            ago=900.0 - n * 55,
            end="complete",
        )
    task(
        source,
        clock,
        "task_8d21c0",
        "security.scan",
        "security-01",
        ago=31,
        progress=38.0,
        message="reading requirements",
    )
    task(source, clock, "task_77aa01", "testing.run", "testing-01", ago=48, progress=72.0, message="311 of 430 tests")
    task(source, clock, "task_9e0b44", "documentation.generate", "docs-01", ago=12, progress=5.0, message="module list")
    task(source, clock, "task_aa1e30", "testing.run", ago=20, priority="high")
    task(source, clock, "task_bb7c12", "code.generate", ago=15)
    source.panes.screens["%0"] = [
        "\x1b[1mapi-gateway-01\x1b[0m \x1b[32mready\x1b[0m on 127.0.0.1:8080",
        *(f"\x1b[2m12:00:{n:02d}\x1b[0m GET /tasks \x1b[32m200\x1b[0m {n}ms" for n in range(12)),
    ]
    for n, (name, _) in enumerate(AGENTS[1:], 1):
        source.panes.screens[f"%{n}"] = [
            f"\x1b[1m{name}\x1b[0m",
            *(f"\x1b[3{k % 7 + 1}m●\x1b[0m line {k} 表示 of {name}" for k in range(n + 3)),
        ]


def trouble(source: FakeSource, clock: Clock) -> None:
    """Much is wrong."""
    calm(source, clock)
    now = clock()
    panes = [
        b.PaneStatus(
            agent_id=name,
            role=role,
            pid=4000 + n,
            pane_id=f"%{n}",
            incarnation=f"inc-{n}",
            state="crashloop" if name == "deployment-01" else "backoff" if name == "docs-01" else "running",
            restarts=5 if name == "deployment-01" else 2 if name == "docs-01" else 0,
            exit_status=1 if name in ("deployment-01", "docs-01") else None,
            next_start=now + 8 if name == "docs-01" else None,
            tail=["Traceback (most recent call last):", "KeyError: 'TOKEN'"] if name == "deployment-01" else [],
            reason="exit 1, 5 times in 90 s" if name == "deployment-01" else "exit 1" if name == "docs-01" else "",
        )
        for n, (name, role) in enumerate(AGENTS)
    ]
    source.say(
        "supervisor",
        Kind.HOST_STATUS,
        b.HostStatus(panes=panes, session="opencto", socket="swarm-tui", pid=3999),
        "devbox",
    )
    task(
        source,
        clock,
        "task_c0ffee",
        "database.migrate",
        "database-01",
        ago=140,
        end="held",
        error="the agent was lost; nobody knows whether it ran",
    )
    task(
        source,
        clock,
        "task_d3adbf",
        "testing.run",
        "testing-01",
        ago=200,
        end="dead",
        attempt=3,
        error="3 attempts: exit status 2, tests/test_api.py::test_login failed",
    )
    task(
        source,
        clock,
        "task_e1e1e1",
        "code.review",
        "code-review-01",
        ago=80,
        end="failed",
        error="no such file: src/payments.py",
    )
    task(
        source,
        clock,
        "task_f00d11",
        "deployment.deploy",
        ago=40,
        end="approve",
        error="the layout asks for a person's approval",
    )
    task(
        source,
        clock,
        "task_re7415",
        "security.audit",
        "security-01",
        ago=25,
        end="retrying",
        attempt=2,
        error="pip-audit: connection reset",
    )
    source.raw(f"{source.facts.swarm}/tasks/complete", b"not json at all {")
    source.say(
        "monitoring-01",
        Kind.ALERT,
        b.Alert(severity="warning", name="queue-age", message="testing.run waits for 4 minutes"),
        role="monitoring",
    )


def empty(source: FakeSource, clock: Clock) -> None:
    """The broker is there, and nobody else."""
    source.link(True)


def lost(source: FakeSource, clock: Clock) -> None:
    """The broker went away a while ago."""
    calm(source, clock)
    source.link(False, "connection refused by 127.0.0.1:1883; is the broker running?")
