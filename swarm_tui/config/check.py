"""Checks of a layout whose shape is right: ids, dependencies, bounds, addresses."""

import re
from collections.abc import Iterable
from difflib import get_close_matches

import msgspec

from swarm_tui.config.document import Document, Where, near
from swarm_tui.config.home import homeless
from swarm_tui.config.ids import Named, bounds, name_agents
from swarm_tui.config.model import LONGEST, AgentEntry, HandlerSpec, Layout
from swarm_tui.config.urls import SECURE_SCHEMES, check_url, is_address, split_url
from swarm_tui.domain.liveness import BEAT
from swarm_tui.protocol import shards
from swarm_tui.protocol.names import (
    ROLE_TYPES,
    InvalidNameError,
    canonical_role,
    check_agent_id,
    check_swarm,
    check_task_type,
)

_POSITIVE = (
    "capacity",
    "timeout",
    "max_attempts",
    "approve_by",
    "approve_within",
    "ask_within",
    "max_agents",
    "max_open_tasks",
    "record_age",
)
_LEAST_RECORD = 1024 * 1024
#: What is filled into an agent's command; a handler's has more, and `{payload.…}`.
OF_AGENTS = ("agent_id", "role", "swarm", "broker", "workdir")
OF_HANDLERS = (*OF_AGENTS, "task_id", "attempt")
#: A word in braces: what `awk '{print $1}'` or `{}` of find says is none, and neither is a shell's `${VAR}`.
_WORD = re.compile(r"(?<!\$)\{([a-z_][A-Za-z0-9_]*(?:\.[A-Za-z0-9_-]+)*)\}")


def check_layout(document: Document, layout: Layout) -> None:
    """Add every mistake of meaning to `document.problems`."""
    _name(document, ("swarm",), layout.swarm, check_swarm)
    if layout.session is not None and (not layout.session or set(layout.session) & set(":.=@$%# \t")):
        document.problem(
            ("session",), f"`{layout.session}` is no tmux session's name: leave out : . = @ $ % # and spaces"
        )
    if layout.address is not None and not is_address(layout.address):
        document.problem(("address",), f"`{layout.address}` is no address for ssh: a host, `user@host`, or an alias")
    _broker(document, layout)
    _folder(document, ("workdir",), layout.workdir)
    for section in ("defaults", "policy", "supervisor"):
        _positive(document, (section,), getattr(layout, section), every=section == "supervisor")
    _silence(document, layout)
    if layout.policy.record_size < _LEAST_RECORD:
        document.problem(("policy", "record_size"), f"`record_size` is in bytes: {_LEAST_RECORD} at least")
    if not 0 <= layout.policy.shards <= shards.MOST:
        document.problem(("policy", "shards"), f"`shards` is 0 to {shards.MOST}")
    for index, check in enumerate(layout.policy.merge_checks or ()):
        _name(document, ("policy", "merge_checks", index), check, check_task_type)
    if not layout.agents and not document.problems:
        document.problem(("agents",), "`agents` is empty: a swarm has at least one")
    for index, entry in enumerate(layout.agents):
        _entry(document, ("agents", index), entry)
        _unboxed(document, ("agents", index), entry, layout.defaults.sandbox)
    if _too_many(document, layout):
        return
    agents = name_agents(layout)
    _unique(document, agents)
    _depends(document, layout, agents)


def _broker(document: Document, layout: Layout) -> None:
    if reason := check_url(layout.broker.url):
        document.problem(("broker", "url"), reason)
    elif layout.broker.secure and split_url(layout.broker.url).place.scheme not in SECURE_SCHEMES:
        document.problem(("broker", "url"), "`secure: true` needs TLS: write `mqtts://host:8883`")
    if layout.broker.secure and layout.policy.guests != "none" and ("policy", "guests") in document.places:
        document.problem(("policy", "guests"), "`secure: true` lets nobody in without a name: write `guests: none`")
    if layout.broker.password is not None and layout.broker.username is None:
        document.problem(("broker", "password"), "a password without a `username`")
    if (layout.broker.tls.cert is None) != (layout.broker.tls.key is None):
        document.problem(("broker", "tls"), "`cert` and `key` belong together")


def _too_many(document: Document, layout: Layout) -> bool:
    """Return whether more agents are always there than may be, or one role alone may grow beyond that."""
    cap = layout.policy.max_agents
    number = sum(entry.min or 0 if bounds(entry) else entry.count or 1 for entry in layout.agents)
    if number > cap:
        document.problem(("agents",), f"{number} agents, but `policy.max_agents` is {cap}")
    wide = [index for index, entry in enumerate(layout.agents) if (entry.max or 0) > cap]
    for index in wide:
        document.problem(("agents", index, "max"), f"`max` is more than `policy.max_agents`, which is {cap}")
    return number > cap or bool(wide)


def idle_roles(layout: Layout) -> list[str]:
    """A sentence for each role that is near a known one, and has no work of its own: most likely a slip."""
    said = {}
    for entry in layout.agents:
        role = canonical_role(entry.role)
        close = get_close_matches(role, ROLE_TYPES, n=1, cutoff=0.75)
        if role not in ROLE_TYPES and not entry.handlers and entry.command is None and close:
            said[role] = f"`{role}` is a role of your own, and does no task; did you mean `{close[0]}`?"
    return list(said.values())


def _name(document: Document, where: Where, text: str, check: object) -> None:
    try:
        check(text)  # type: ignore[operator]
    except InvalidNameError as error:
        document.problem(where, str(error))


def _positive(document: Document, where: Where, value: msgspec.Struct, *, every: bool = False) -> None:
    for field in value.__struct_fields__:
        number = getattr(value, field)
        counts = isinstance(number, int | float) and not isinstance(number, bool)
        if (every or field in _POSITIVE) and counts and number <= 0:
            document.problem((*where, field), f"`{field}` must be more than 0")
        elif isinstance(number, float) and not number <= LONGEST:
            document.problem((*where, field), f"`{field}` is at most {LONGEST:.0f}")


def _folder(document: Document, where: Where, name: str) -> None:
    if reason := homeless(name):
        document.problem(where, f"`workdir`: {reason}")
    elif "\0" in name:
        document.problem(where, "`workdir`: no folder's name holds a NUL")


def _silence(document: Document, layout: Layout) -> None:
    """An agent of ours that beats as it should must never be called hung; other programs may beat faster."""
    silent = layout.supervisor.silent_after
    if 0 < silent < 2 * BEAT and any(entry.command is None or entry.wrap for entry in layout.agents):
        reason = f"`silent_after` {silent:g} would call healthy agents hung: they beat every {BEAT:g} s"
        document.problem(("supervisor", "silent_after"), f"{reason}, so give {2 * BEAT:g} at least")


def _entry(document: Document, where: Where, entry: AgentEntry) -> None:
    _name(document, (*where, "role"), entry.role, check_agent_id)
    if entry.id is not None:
        _name(document, (*where, "id"), entry.id, check_agent_id)
    _number_of(document, where, entry)
    _positive(document, where, entry)
    _folder(document, (*where, "workdir"), entry.workdir or "")
    _program(document, where, entry)
    _interactive(document, where, entry)
    for name in entry.env:
        if not name or "=" in name or "\0" in name or name[0].isdigit():
            document.problem((*where, "env", name), f"`{name}` is no environment variable's name")
    for task_type, handler in entry.handlers.items():
        _handler(document, (*where, "handlers", task_type), task_type, handler)


def _number_of(document: Document, where: Where, entry: AgentEntry) -> None:
    """Check how many agents of the entry there are to be."""
    if entry.count is not None and (entry.min is not None or entry.max is not None):
        document.problem((*where, "count"), "`count` is a fixed number, `min` and `max` a range: give one of both")
    for field in ("count", "min", "max"):
        number = getattr(entry, field)
        if number is not None and number < (0 if field == "min" else 1):
            document.problem((*where, field), f"`{field}` must be at least {0 if field == 'min' else 1}")
    low, high = entry.min, entry.max
    if low is not None and high is not None and low > high:
        document.problem((*where, "min"), f"`min` {low} is more than `max` {high}")
    if canonical_role(entry.role) == "task-manager" and (entry.min is not None or entry.max is not None):
        document.problem((*where, "role"), "a task-manager is not scaled by load; one leads, give `count` for standbys")


def _program(document: Document, where: Where, entry: AgentEntry) -> None:
    """Check the program that the entry's agents run, where it is not ours."""
    if entry.command is not None and (not entry.command or not entry.command[0]):
        document.problem((*where, "command"), "`command` is empty: its first element is the program")
    if entry.wrap and entry.command is None:
        document.problem((*where, "wrap"), "`wrap` needs a `command` to wrap")
    if entry.dialect != "swarm" and entry.command is None:
        document.problem((*where, "dialect"), f"dialect `{entry.dialect}` needs a `command`: our agents speak `swarm`")


#: The type whose CLI an interactive agent's pane shows, and those that would work elsewhere than in its folder.
_TALK, _OTHER_TALKS = "agent-cli", ("code.generate", "code.plan", "code.review", "documentation.generate")


def _interactive(document: Document, where: Where, entry: AgentEntry) -> None:
    """Check that there is one CLI whose screen the pane can show, and one task at a time for it."""
    if not entry.interactive:
        return
    place: Where = (*where, "interactive")
    if entry.command is not None:
        document.problem(place, "`interactive` is for an agent of ours: leave out `command`, and name the CLI below")
    if _TALK not in entry.handlers:
        document.problem(place, f"`interactive` needs a handler `{_TALK}`, whose `cli` is the one in the pane")
    for name in _OTHER_TALKS:
        if (handler := entry.handlers.get(name)) is not None and handler.options.get("cli"):
            document.problem(
                (*where, "handlers", name),
                f"an interactive agent's CLI works in its own folder and does `{_TALK}` only: give `{name}` to another",
            )
    if (entry.capacity or 1) != 1:
        document.problem((*where, "capacity"), "an interactive agent does one task at a time: leave out `capacity`")


def _unboxed(document: Document, where: Where, entry: AgentEntry, by_default: str) -> None:
    """Check that nobody takes for held in a sandbox what runs in none: its own program is the agent, or its screen."""
    field = "interactive" if entry.interactive else "command" if entry.command is not None else ""
    if not field or (entry.sandbox or by_default) == "none":
        return
    what = "the CLI of an interactive agent" if entry.interactive else "an agent's own `command`"
    if entry.sandbox is not None:
        document.problem((*where, "sandbox"), f"{what} runs in no sandbox of ours: leave it out")
    else:
        document.problem(
            (*where, field), f"{what} runs in no sandbox of ours, as `defaults` wants: say `sandbox: none` here"
        )


def _handler(document: Document, where: Where, task_type: str, handler: HandlerSpec) -> None:
    _name(document, where, task_type, check_task_type)
    _positive(document, where, handler)
    if handler.command is not None and (not handler.command or not handler.command[0]):
        document.problem((*where, "command"), "`command` is empty: its first element is the program")
    if handler.command is not None and handler.use not in (None, "command"):
        document.problem((*where, "use"), f"`use: {handler.use}` and `command` exclude each other")


def _unique(document: Document, agents: list[Named]) -> None:
    first: dict[str, int] = {}
    for agent in agents:
        if agent.agent_id in first:
            where: Where = ("agents", agent.entry)
            place = (*where, "id") if (*where, "id") in document.places else where
            line = document.places[("agents", first[agent.agent_id])][0]
            document.problem(place, f"the id `{agent.agent_id}` is already that of the agent on line {line}")
        else:
            first[agent.agent_id] = agent.entry


def _depends(document: Document, layout: Layout, agents: list[Named]) -> None:
    ids = {agent.agent_id: agent.entry for agent in agents}
    roles: dict[str, set[int]] = {}
    for agent in agents:
        roles.setdefault(agent.role, set()).add(agent.entry)
    needs: dict[int, set[int]] = {}
    for index, entry in enumerate(layout.agents):
        for position, name in enumerate(entry.depends_on):
            key = name if isinstance(entry.depends_on, dict) else position
            where: Where = ("agents", index, "depends_on", key)
            if name in ids:
                wanted = {ids[name]}
            elif canonical_role(name) in roles:
                wanted = roles[canonical_role(name)] - {index}
            else:
                hint = near(name, sorted({*ids, *roles}))
                document.problem(where, f"`depends_on` names `{name}`, which is no agent or role here{hint}")
                continue
            if index in wanted and len([a for a in agents if a.entry == index]) == 1:
                document.problem(where, f"`{name}` depends on itself")
            needs.setdefault(index, set()).update(wanted - {index})
    if cycle := _cycle(needs):
        names = [_label(agents, index) for index in cycle]
        document.problem(
            ("agents", cycle[0], "depends_on"), f"`depends_on` goes in a circle: {' → '.join([*names, names[0]])}"
        )


def _label(agents: list[Named], entry: int) -> str:
    return next((agent.agent_id for agent in agents if agent.entry == entry), "?")


def _cycle(needs: dict[int, set[int]]) -> list[int]:
    """Return one circle of entries, in order, or nothing."""
    done: set[int] = set()

    def walk(node: int, path: list[int]) -> list[int]:
        if node in path:
            return path[path.index(node) :]
        if node in done:
            return []
        found: Iterable[list[int]] = (walk(target, [*path, node]) for target in sorted(needs.get(node, ())))
        circle = next((candidate for candidate in found if candidate), [])
        done.add(node)
        return circle

    return next((circle for circle in (walk(node, []) for node in sorted(needs)) if circle), [])


def stray_placeholders(document: Document, layout: Layout) -> list[str]:
    """A sentence with its place for each placeholder in a command that is filled with nothing, or cannot be."""
    said = []
    for index, entry in enumerate(layout.agents):
        where: Where = ("agents", index, "command")
        said += _strays(document, where, entry.command or [], OF_AGENTS, payload=False)
        for task_type, handler in entry.handlers.items():
            script = bool(handler.options.get("shell"))
            command = ["", *(handler.command or [])[1:]] if script else handler.command or []
            where = ("agents", index, "handlers", task_type, "command")
            said += _strays(document, where, command, OF_HANDLERS, payload=True)
    return said


def _strays(
    document: Document, where: Where, command: list[str], known: tuple[str, ...], *, payload: bool
) -> list[str]:
    said = []
    for position, element in enumerate(command):
        for word in _WORD.findall(element):
            if word in known:
                continue
            if payload and word.startswith("payload."):
                if position > 0 and element == f"{{{word}}}":
                    continue
                reason = f"`{{{word}}}` fills a whole element of a command, and never its program: its tasks fail"
            else:
                more = [*known, "payload.…"] if payload else [*known]
                reason = f"`{{{word}}}` is no placeholder here, so it stays as it is{near(word, more)}"
            line, column = document.places.get((*where, position), document.places.get(where, (1, 1)))
            said.append(f"{document.file}:{line}:{column}: {reason}")
    return said
