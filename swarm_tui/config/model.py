"""A layout as it is read, and what one agent is told of it: frozen structs, JSON and YAML alike."""

from typing import Any, Literal

from msgspec import Struct

from swarm_tui.domain.workflows.model import Workflow
from swarm_tui.protocol.shards import By

Sandboxes = Literal["none", "bwrap"]
Restart = Literal["never", "on-failure", "always"]
Dialect = Literal["swarm", "seed", "mqtt-v1"]
#: The longest span that counts, in seconds: ten years, which every clock and every timer can add up.
LONGEST = 10 * 365 * 86_400.0


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Certificates, as paths that start in the folder of the file that names them.

    `ca` may also be the certificate itself, as PEM. `insecure` skips the check of the broker's name and is said aloud.
    """

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    insecure: bool = False


class Broker(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way to the broker. `url` is mqtt, mqtts, ws, wss or unix."""

    url: str = "mqtt://127.0.0.1:1883"
    username: str | None = None
    password: str | None = None
    password_file: str | None = None
    """A file that holds the password and that only its owner may read; loading a layout puts it in `password`."""
    tls: Tls = Tls()
    protocol: Literal["auto", "3.1.1", "5"] = "auto"
    """The version of MQTT; `auto` is 5 where the broker speaks it."""
    profile: Literal["auto", "plain", "aws"] = "auto"
    """Limits that are kept: `aws` has those of AWS IoT Core; `auto` has them for an endpoint of AWS."""
    sigv4: str | None = None
    """The AWS region for which a WebSocket's request is signed on each connect; of itself for an endpoint of AWS."""
    secure: bool = False
    """TLS, and nobody without a name. Where `url` names this machine, the embedded broker has a CA of its own."""
    embedded: Literal["auto", "always", "never"] = "auto"


class Tmux(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`socket`: the name of our own tmux server (`-L`), or `default` for the user's."""

    socket: str = "swarm-tui"
    arrange: Literal["tiled", "windows"] = "tiled"


class HandlerSpec(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The way in which an agent does one task type. Without `use` or `command` the type's own handler does it."""

    use: str | None = None
    """A handler's name, from the entry points `swarm_tui.handlers`."""
    command: list[str] | None = None
    """Of the `command` handler: argv with placeholders."""
    timeout: float | None = None
    """Seconds that an attempt may take; by default those of the layout."""
    max_attempts: int | None = None
    """Attempts before a task of the type is given up; by default those of the layout."""
    idempotent: bool | None = None
    """False: a task whose outcome is not known waits for a person. By default deploys and migrations are not."""
    children: Literal["end", "keep"] = "end"
    """`keep`: processes that its programs leave behind live on when the task has ended well, a server that it started
    for one; the result names them."""
    options: dict[str, Any] = {}
    """The handler's own options; `validate` holds them against its schema."""
    templates: dict[str, dict[str, Any]] = {}
    """Named payloads that the publish form offers."""


class RestartPolicy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Seconds and counts of the supervisor."""

    backoff_first: float = 1.0
    """Seconds before the second start in a row."""
    backoff_max: float = 60.0
    """Seconds between two starts at most."""
    healthy_after: float = 60.0
    """Seconds on the bus after which an agent counts as well, and what it did before no longer counts."""
    crash_within: float = 10.0
    """Seconds after its first word within which an end counts as a crash."""
    crash_count: int = 5
    """Crashes within `crash_window` after which an agent is left to a person."""
    crash_window: float = 120.0
    """Seconds within which those crashes are counted."""
    silent_after: float = 35.0
    """Seconds without a word after which an agent whose process lives counts as hung."""
    drain_wait: float = 20.0
    """Seconds that an agent which is stopped has to end its task."""
    term_wait: float = 10.0
    """Seconds between SIGTERM and SIGKILL."""
    tmux_wait: float = 4.0
    """Seconds that one call to tmux may take."""
    mass_within: float = 2.0
    """When `mass_share` of the agents end within so many seconds it is the machine, not they."""
    mass_share: float = 0.5
    """Share of the agents, 0 to 1."""
    warm: bool = True
    """Are agents of ours forks of one warm process (Linux only)? They then start faster, and take less memory."""


class Defaults(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The values of an agent entry that says nothing."""

    restart: Restart = "on-failure"
    capacity: int = 1
    """Tasks that an agent does at once."""
    timeout: float = 900.0
    """Seconds that an attempt may take."""
    max_attempts: int = 3
    """Attempts before a task is given up."""
    sandbox: Sandboxes = "none"
    """`bwrap`: programs of handlers run in bubblewrap, and see neither the swarm's state nor its secret."""
    writable: list[str] = []
    """Folders that they may write to inside, besides the agent's own: `~/.claude`."""


class AgentEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of a layout's `agents`: one agent, or those of a role.

    `id` names one; `count` makes so many, `<id or role>-01` and on; `min` and `max` as many as there is work for,
    within these. Without a `command` it is an agent of ours. What is not said is as `defaults` has it.
    """

    role: str
    id: str | None = None
    count: int | None = None
    min: int | None = None
    max: int | None = None
    command: list[str] | None = None
    """Argv of another program that is the agent."""
    wrap: bool = False
    """The command runs as a child of ours, which says on the bus that it is there, and how it ended."""
    interactive: bool = False
    """The CLI of its `agent-cli` runs in the pane with its own full screen; tasks are typed there, one at a time."""
    env: dict[str, str] = {}
    """Variables that the agent's environment gets besides the caller's."""
    workdir: str | None = None
    """Its folder; a relative one starts in the layout's `workdir`."""
    restart: Restart | None = None
    depends_on: dict[str, Literal["started", "registered"]] | list[str] = {}
    """Agents, or roles, that must have been started, or have registered, before it starts."""
    handlers: dict[str, HandlerSpec] = {}
    """Task types besides those of its role, and how it does each."""
    capacity: int | None = None
    sandbox: Sandboxes | None = None
    writable: list[str] | None = None
    dialect: Dialect = "swarm"
    """Its way to say things on the wire, where that is not ours."""


class Budget(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """US dollars for a task, on a day, in a month (UTC). What would pass it is held for a person."""

    task: float | None = None
    day: float | None = None
    month: float | None = None


class Policy(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The types that a person must approve, and the swarm's limits."""

    approve: list[str] = []
    """Patterns of task types (`deployment.*`) that need a yes."""
    approve_by: int = 1
    """Persons who must approve each task of those types, told apart by identity."""
    approve_within: float = 3600.0
    """Seconds that a task waits for it, before it expires."""
    ask_within: float = 600.0
    """Seconds within which somebody must answer what an AI agent asks; silence is a no."""
    merge_checks: list[str] | None = None
    """Types of tasks that check a merge's result before it lands; by default `testing.run` and `code.review`, of them
    those that the layout gives somebody."""
    budget: Budget = Budget()
    """US dollars that AI agents may take; none set: as much as they do."""
    max_agents: int = 64
    """Agents of the swarm at most, those that are scaled included."""
    max_open_tasks: int = 100_000
    """Tasks that may be open; what comes besides is refused."""
    scale_every: float = 15.0
    """Seconds between two looks at how many agents a role needs."""
    scale_down_after: float = 300.0
    """Seconds of less work before an agent of a scaled role is let go."""
    scale_down_every: float = 60.0
    """Seconds between two agents of a role that are let go."""
    record_age: float = 7 * 86400.0
    """Seconds after which the monitoring agent's record forgets a message."""
    guests: Literal["none", "publish", "work"] = "work"
    """May those without an identity read and publish tasks, or also work on what is offered to them?"""
    leaderless: bool | None = None
    """May agents claim tasks by themselves where nobody leads? By default where the layout has no task-manager."""
    record_size: int = 256 * 1024 * 1024
    """Bytes on disk that the record never exceeds; the oldest messages go first."""
    shards: int = 0
    """The number of shards, `NAME/_s/0` and so on, of which this swarm is one; 0: it is whole."""
    shard_by: By = "id"
    """Work belongs to a shard by its own name, or by its type."""


class ScheduleEntry(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row of a layout's `schedules`: a task of `type`, or a run of `workflow`, at the times of `cron`."""

    name: str
    cron: str
    timezone: str = "UTC"
    type: str | None = None
    workflow: str | Workflow | None = None
    """A workflow's name or file, or the workflow itself; loading a layout puts it here whole."""
    payload: dict[str, Any] = {}
    """The task's payload, or the inputs of the run."""
    overlap: Literal["skip", "queue", "replace"] = "skip"
    missed: Literal["one", "none"] = "one"


class Layout(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A swarm as a file: `config.load.load_layout` reads, checks and completes it."""

    swarm: str
    session: str | None = None
    """The tmux session; by default it is named after the swarm."""
    host: str | None = None
    """This host's name in the swarm; the machine's own by default."""
    address: str | None = None
    """Where ssh reaches this host, for attach from another."""
    broker: Broker = Broker()
    tmux: Tmux = Tmux()
    workdir: str = "."
    """The folder where agents work; a relative one starts where `up` is called."""
    defaults: Defaults = Defaults()
    supervisor: RestartPolicy = RestartPolicy()
    agents: list[AgentEntry] = []
    schedules: list[ScheduleEntry] = []
    policy: Policy = Policy()


class TypeRule(Struct, frozen=True, kw_only=True):
    """The swarm's knowledge of one task type: who does it, and how often."""

    roles: list[str] = []
    agents: list[str] = []
    timeout: float = 900.0
    """Seconds that an attempt may take."""
    max_attempts: int = 3
    """Attempts before a task is given up."""
    idempotent: bool = True
    """False: a task whose outcome is not known is held for a person."""
    approve: bool = False
    """A person must say yes before it begins."""
    keyless: list[str] = []
    """Agents of another dialect, which prove nothing, to whom the layout gives it by name all the same."""


class RunSpec(Struct, frozen=True, kw_only=True):
    """All that one agent process is told, resolved; a 0600 JSON file, never argv.

    `workdir` and `state_dir` are absolute. `types` holds every type the layout declares (the dispatcher reads it).
    `env` is what its environment gets besides the caller's.
    """

    agent_id: str
    role: str
    swarm: str
    broker: Broker
    workdir: str
    state_dir: str
    host: str = ""
    capacity: int = 1
    handlers: dict[str, HandlerSpec] = {}
    types: dict[str, TypeRule] = {}
    policy: Policy = Policy()
    scale: dict[str, tuple[int, int]] = {}
    """Role to (min, max)."""
    dialect: Dialect = "swarm"
    sandbox: Sandboxes = "none"
    writable: list[str] = []
    command: list[str] | None = None
    wrap: bool = False
    interactive: bool = False
    env: dict[str, str] = {}
    restart: Restart = "on-failure"
    depends_on: dict[str, str] = {}
    ephemeral: bool = False
    foreign: dict[str, Dialect] = {}
    """Agents that know only another dialect, by id: the dispatcher speaks for them."""
    foreign_roles: dict[str, str] = {}
    """The roles of those agents, by id."""
    schedules: list[ScheduleEntry] = []
    """The layout's, for the dispatcher."""
    extra_topics: list[str] = []
    leaderless: bool = True
    """It may claim tasks where nobody leads."""
    doers: dict[str, list[HandlerSpec | None]] = {}
    """Handlers of each type in the layout, for the gateway, which refuses what none can do; see `resolve.doers`."""
    own: list[str] = []
    """All agents that the layout may start, by id; the dispatcher takes no word of theirs without their proof."""
    """Further topics to listen to, from the seed's mqtt.yml."""
