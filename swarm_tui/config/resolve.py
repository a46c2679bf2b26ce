"""From a loaded layout to what each agent process is told."""

from collections.abc import Mapping
from pathlib import Path

from msgspec.structs import replace

from swarm_tui.config.home import at_home
from swarm_tui.config.ids import Named, name_agents, role_limits
from swarm_tui.config.load import Loaded
from swarm_tui.config.model import Dialect, HandlerSpec, Layout, RunSpec, TypeRule
from swarm_tui.config.paths import StateDir
from swarm_tui.protocol.names import (
    COMPANIONS,
    FALLBACK_TYPES,
    NOT_IDEMPOTENT,
    ROLE_TYPES,
    canonical_role,
    type_matches,
)


def run_specs(loaded: Loaded, *, state: StateDir, host: str, counts: Mapping[str, int] | None = None) -> list[RunSpec]:
    """Return a RunSpec for each agent, in the order of the file.

    `counts` maps a scaled role to how many agents it has now; without it each has its `min`.
    """
    layout = loaded.layout
    agents = name_agents(layout, counts)
    types = type_rules(layout, agents)
    scale = role_limits(layout)
    foreign: dict[str, Dialect] = {
        agent.agent_id: layout.agents[agent.entry].dialect
        for agent in agents
        if layout.agents[agent.entry].dialect != "swarm"
    }
    led = any(canonical_role(entry.role) == "task-manager" for entry in layout.agents)
    leaderless = not led if layout.policy.leaderless is None else layout.policy.leaderless and not led
    # A program of its own that speaks MQTT by itself has no keys: it is a guest, by the layout's wish.
    entries = layout.agents
    own = [agent.agent_id for agent in agents if not entries[agent.entry].command or entries[agent.entry].wrap]
    specs = []
    for agent in agents:
        entry = layout.agents[agent.entry]
        specs.append(
            RunSpec(
                agent_id=agent.agent_id,
                role=agent.role,
                swarm=layout.swarm,
                broker=layout.broker,
                workdir=str(_folder(loaded.workdir, entry.workdir)),
                state_dir=str(state.root.absolute()),
                host=host,
                capacity=entry.capacity or layout.defaults.capacity,
                handlers=_handlers(entry.handlers, layout),
                types=types,
                policy=layout.policy,
                scale=scale,
                dialect=entry.dialect,
                sandbox=entry.sandbox or layout.defaults.sandbox,
                writable=layout.defaults.writable if entry.writable is None else entry.writable,
                command=entry.command,
                wrap=entry.wrap,
                interactive=entry.interactive,
                env=entry.env,
                restart=entry.restart or layout.defaults.restart,
                depends_on=_depends(entry.depends_on, agent, agents),
                foreign=foreign,
                leaderless=leaderless,
                schedules=layout.schedules if agent.role == "task-manager" else [],
                own=own if agent.role in _JUDGES else [],
                doers=doers(layout) if agent.role == "api-gateway" else {},
                foreign_roles={other.agent_id: other.role for other in agents if other.agent_id in foreign},
            )
        )
    return specs


#: Roles of agents that judge what the others say.
_JUDGES = frozenset({"task-manager", "monitoring", "api-gateway"})


def doers(layout: Layout) -> dict[str, list[HandlerSpec | None]]:
    """Return how each entry that does a type does it, by type; None stands for the type's own handler.

    A type that a program of somebody else's does too is left out: nothing is known of what that takes.
    """
    found: dict[str, list[HandlerSpec | None]] = {}
    foreign: set[str] = set()
    for entry in layout.agents:
        types = {*entry.handlers, *ROLE_TYPES.get(canonical_role(entry.role), ())}
        if entry.command is not None or entry.dialect != "swarm":
            foreign |= types
        for task_type in types:
            found.setdefault(task_type, []).append(entry.handlers.get(task_type))
    return {task_type: specs for task_type, specs in found.items() if task_type not in foreign}


def session_name(layout: Layout) -> str:
    """The tmux session of a layout: its `session`, else its swarm's name with what tmux refuses made `-`."""
    return layout.session or "".join("-" if c in ":.=@$% \t/" else c for c in layout.swarm)


def _folder(base: Path, own: str | None) -> Path:
    return (base / at_home(own)).resolve() if own else base


def _handlers(handlers: dict[str, HandlerSpec], layout: Layout) -> dict[str, HandlerSpec]:
    return {
        task_type: replace(
            handler,
            timeout=handler.timeout or layout.defaults.timeout,
            max_attempts=handler.max_attempts or layout.defaults.max_attempts,
            idempotent=_idempotent(task_type) if handler.idempotent is None else handler.idempotent,
        )
        for task_type, handler in handlers.items()
    }


def _depends(depends_on: Mapping[str, str] | list[str], own: Named, agents: list[Named]) -> dict[str, str]:
    """Agent id to `started` or `registered`; a role stands for each of its agents, a bare list for `started`."""
    pairs = depends_on.items() if isinstance(depends_on, Mapping) else ((name, "started") for name in depends_on)
    ids = {agent.agent_id for agent in agents}
    wanted: dict[str, str] = {}
    for name, condition in pairs:
        named = [name] if name in ids else [a.agent_id for a in agents if a.role == canonical_role(name)]
        wanted.update({agent_id: condition for agent_id in named if agent_id != own.agent_id})
    return wanted


def _idempotent(task_type: str) -> bool:
    return not any(type_matches(pattern, task_type) for pattern in NOT_IDEMPOTENT)


def type_rules(layout: Layout, agents: list[Named]) -> dict[str, TypeRule]:
    """Every task type that the layout declares: by its roles, and by its entries' `handlers`.

    A rule names a role when every agent of it does the type, else the agents.
    """
    roles = {agent.role for agent in agents} | {canonical_role(entry.role) for entry in layout.agents}
    by_role: dict[str, set[str]] = {}
    for role in roles:
        for task_type in ROLE_TYPES.get(role, ()):
            by_role.setdefault(task_type, set()).add(role)
    for role in sorted(roles & FALLBACK_TYPES.keys()):
        for task_type in FALLBACK_TYPES[role]:
            if task_type not in by_role:
                by_role[task_type] = {role}
    given: dict[str, list[HandlerSpec]] = {}
    by_agent: dict[str, set[str]] = {}
    for index, entry in enumerate(layout.agents):
        role = canonical_role(entry.role)
        mates = [other for other in layout.agents if canonical_role(other.role) == role]
        for task_type, handler in entry.handlers.items():
            given.setdefault(task_type, []).append(handler)
            if all(task_type in mate.handlers for mate in mates):
                by_role.setdefault(task_type, set()).add(role)
            elif role not in by_role.get(task_type, ()):
                own = {agent.agent_id for agent in agents if agent.entry == index}
                by_agent.setdefault(task_type, set()).update(own)
    by_role |= _companions(by_role)
    by_agent |= _companions(by_agent)
    return {
        task_type: replace(
            _rule(layout, task_type, by_role, by_agent, given.get(task_type, [])),
            keyless=_keyless(layout, agents, task_type),
        )
        for task_type in sorted(by_role.keys() | by_agent.keys())
    }


def _companions(who: dict[str, set[str]]) -> dict[str, set[str]]:
    """Return who does the types that come with those of `who`."""
    return {other: set(who[name]) for name, others in COMPANIONS.items() if name in who for other in others}


def _keyless(layout: Layout, agents: list[Named], task_type: str) -> list[str]:
    """Return the agents of other dialects whose own entry names the type among its `handlers`."""
    entries = [entry.dialect != "swarm" and task_type in entry.handlers for entry in layout.agents]
    return sorted(agent.agent_id for agent in agents if entries[agent.entry])


def _rule(
    layout: Layout,
    task_type: str,
    by_role: dict[str, set[str]],
    by_agent: dict[str, set[str]],
    given: list[HandlerSpec],
) -> TypeRule:
    timeouts = [handler.timeout for handler in given if handler.timeout]
    attempts = [handler.max_attempts for handler in given if handler.max_attempts]
    marks = [handler.idempotent for handler in given if handler.idempotent is not None]
    return TypeRule(
        roles=sorted(by_role.get(task_type, ())),
        agents=sorted(by_agent.get(task_type, ())),
        timeout=max(timeouts, default=layout.defaults.timeout),
        max_attempts=min(attempts, default=layout.defaults.max_attempts),
        idempotent=all(marks) if marks else _idempotent(task_type),
        approve=any(type_matches(pattern, task_type) for pattern in layout.policy.approve),
    )
