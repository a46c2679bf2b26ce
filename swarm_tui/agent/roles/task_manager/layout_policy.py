"""The layout's rules for the dispatcher, as the core reads it."""

from swarm_tui.config.model import RunSpec
from swarm_tui.domain.dispatch.model import DispatchSettings, TypePolicy
from swarm_tui.protocol.names import NOT_IDEMPOTENT, ROLE_TYPES, type_matches


def settings_of(spec: RunSpec) -> DispatchSettings:
    """Return what the layout says to the dispatcher; without any types, the roles' own."""
    approve = spec.policy.approve
    rules = {
        name: TypePolicy(
            roles=tuple(rule.roles),
            agents=tuple(rule.agents),
            timeout=rule.timeout,
            max_attempts=rule.max_attempts,
            idempotent=rule.idempotent,
            approve=rule.approve or any(type_matches(pattern, name) for pattern in approve),
        )
        for name, rule in spec.types.items()
    }
    if not rules:
        rules = _plain_rules(approve)
    return DispatchSettings(
        rules=rules,
        approve=tuple(approve),
        scale=dict(spec.scale),
        approve_within=spec.policy.approve_within,
        max_open=spec.policy.max_open_tasks,
        scale_every=spec.policy.scale_every,
        scale_down_after=spec.policy.scale_down_after,
        scale_down_every=spec.policy.scale_down_every,
    )


def _plain_rules(approve: list[str]) -> dict[str, TypePolicy]:
    owners: dict[str, list[str]] = {}
    for role, types in ROLE_TYPES.items():
        for name in types:
            owners.setdefault(name, []).append(role)
    owners["noop"] = list(ROLE_TYPES)
    return {
        name: TypePolicy(
            roles=tuple(roles),
            idempotent=not any(type_matches(pattern, name) for pattern in NOT_IDEMPOTENT),
            approve=any(type_matches(pattern, name) for pattern in approve),
        )
        for name, roles in owners.items()
    }
