"""Names of swarms, agents, tasks, clients and roles: what is legal, and what it is also called."""

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from types import MappingProxyType

DEFAULT_SWARM = "opencto-dev"

_AGENT_ID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_TASK_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
#: No dot: `<run>.<step>` says which run a task is of.
_RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TASK_TYPE = re.compile(r"[A-Za-z0-9_.:/-]{1,128}")


class InvalidNameError(ValueError):
    """A name that may not travel; the message says which and why."""


def is_agent_id(text: str) -> bool:
    """Return whether `text` may name an agent."""
    return _AGENT_ID.fullmatch(text) is not None


def is_task_id(text: str) -> bool:
    """Return whether `text` may name a task."""
    return _TASK_ID.fullmatch(text) is not None


def is_run_id(text: str) -> bool:
    """Return whether `text` may name a run."""
    return _RUN_ID.fullmatch(text) is not None


def check_agent_id(text: str) -> str:
    """Return `text`, or raise InvalidNameError."""
    if not is_agent_id(text):
        raise InvalidNameError(f"{text[:80]!r} is not an agent id: use 1 to 64 of A-Z a-z 0-9 _ . -")
    return text


def check_role(text: str) -> str:
    """Return `text`, or raise InvalidNameError: a role's name is as an agent's, which begins with it."""
    if not is_agent_id(text):
        raise InvalidNameError(f"{text[:80]!r} is not a role: use 1 to 64 of A-Z a-z 0-9 _ . -")
    return text


def check_task_id(text: str) -> str:
    """Return `text`, or raise InvalidNameError."""
    if not is_task_id(text):
        raise InvalidNameError(f"{text[:80]!r} is not a task id: use 1 to 128 of A-Z a-z 0-9 _ . : -")
    return text


def check_run_id(text: str) -> str:
    """Return `text`, or raise InvalidNameError."""
    if not is_run_id(text):
        raise InvalidNameError(f"{text[:80]!r} is not a run id: use 1 to 64 of A-Z a-z 0-9 _ -")
    return text


def check_task_type(text: str) -> str:
    """Return `text`, or raise InvalidNameError."""
    if _TASK_TYPE.fullmatch(text) is None:
        raise InvalidNameError(f"{text[:80]!r} is not a task type: use 1 to 128 of A-Z a-z 0-9 _ . : / -")
    return text


def check_swarm(text: str) -> str:
    """Return `text` as a topic prefix, or raise InvalidNameError.

    A swarm may hold `/` between names; never `+`, `#`, NUL or other control characters, an empty level, a leading `$`.
    """
    if not text or len(text) > 200:
        raise InvalidNameError("a swarm's name has 1 to 200 characters")
    if text.startswith("$"):
        raise InvalidNameError(f"{text!r} is not a swarm: `$` topics belong to the broker")
    if any(c in "+#" or not c.isprintable() for c in text):
        raise InvalidNameError(f"{text!r} is not a swarm: it may not hold + # or control characters")
    if any(part in ("", ".", "..") for part in text.split("/")):
        raise InvalidNameError(f"{text!r} is not a swarm: no level of it may be empty, `.` or `..`")
    return text


def swarm_hash(swarm: str) -> str:
    """Return eight hex digits that stand for the swarm in client ids, sockets and locks."""
    return sha256(swarm.encode()).hexdigest()[:8]


#: Each role with the task types it does when the layout says nothing.
ROLE_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "task-manager": (),
        "code-review": ("code.review",),
        "deployment": ("deployment.deploy", "deployment.rollback"),
        "testing": ("testing.run", "testing.coverage"),
        "security": ("security.scan", "security.audit"),
        "docs": ("documentation.generate",),
        "monitoring": ("monitoring.health", "monitoring.alerts"),
        "database": ("database.migrate", "database.backup"),
        "api-gateway": ("gateway.probe",),
        "general": ("code.generate",),
    }
)

#: Types a role does only while no live agent has them as its own.
FALLBACK_TYPES: Mapping[str, tuple[str, ...]] = MappingProxyType({"code-review": ("security.scan",)})

#: The type of the steps by which a merge changes a repository: only the merge queue begins such.
MERGE_TYPE = "code.merge"
#: Types that come with another: whoever does that one does them too.
COMPANIONS: Mapping[str, tuple[str, ...]] = MappingProxyType({"code.generate": (MERGE_TYPE,)})

#: What must not run twice by itself when its outcome is unknown.
NOT_IDEMPOTENT: tuple[str, ...] = ("deployment.*", "database.migrate")

_ALIASES = {
    "manager": "task-manager",
    "dispatcher": "task-manager",
    "review": "code-review",
    "deploy": "deployment",
    "test": "testing",
    "documentation": "docs",
    "db": "database",
    "gateway": "api-gateway",
}


def canonical_role(name: str) -> str:
    """Return the role that `name` stands for (`test` is `testing`); an unknown name is its own role."""
    return _ALIASES.get(name, name)


def with_companions(types: Iterable[str]) -> frozenset[str]:
    """Return the types, with those that come with them."""
    known = frozenset(types)
    return known.union(*(COMPANIONS[name] for name in known & COMPANIONS.keys()))


def type_matches(pattern: str, task_type: str) -> bool:
    """Return whether a policy's pattern (`deployment.*`, `database.migrate`, `*`) names the type."""
    if pattern.endswith("*"):
        return task_type.startswith(pattern[:-1])
    return pattern == task_type
