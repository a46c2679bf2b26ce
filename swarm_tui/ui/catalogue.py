"""The task types that the publish form offers: the roles' own, and what the layout adds."""

from swarm_tui.agent.handlers import registry
from swarm_tui.config.model import HandlerSpec, Layout
from swarm_tui.protocol.names import ROLE_TYPES, canonical_role, type_matches
from swarm_tui.ui.source import TaskType


def types_of(layout: Layout | None) -> list[TaskType]:
    """Every type with its schema, templates and the roles that do it, by name."""
    roles: dict[str, list[str]] = {}
    specs: dict[str, HandlerSpec] = {}
    present = {canonical_role(entry.role) for entry in layout.agents} if layout else set(ROLE_TYPES)
    for role, names in ROLE_TYPES.items():
        if role in present:
            for name in names:
                roles.setdefault(name, []).append(role)
    for entry in layout.agents if layout else []:
        for name, spec in entry.handlers.items():
            roles.setdefault(name, [])
            if entry.role not in roles[name]:
                roles[name].append(entry.role)
            specs[name] = spec
    approve = layout.policy.approve if layout else []
    return [_type(name, roles[name], specs.get(name), approve) for name in sorted(roles)]


def _type(name: str, roles: list[str], spec: HandlerSpec | None, approve: list[str]) -> TaskType:
    schema = registry.schema(name, spec)
    return TaskType(
        name=name,
        summary=registry.about(name, spec),
        schema=schema,
        templates=dict(spec.templates) if spec else {},
        timeout=spec.timeout if spec else None,
        roles=roles,
        approve=any(type_matches(pattern, name) for pattern in approve),
    )
