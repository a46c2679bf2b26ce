"""From a task type to the handler that does it, and to the schema of its payload."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

import msgspec

from swarm_tui.agent.handlers import placeholders
from swarm_tui.agent.handlers.base import Handler, HandlerError
from swarm_tui.config.model import HandlerSpec
from swarm_tui.config.payload_fields import unknown_field

ENTRY_POINTS = "swarm_tui.handlers"
#: The handlers that come with swarm-tui, by task type or by the name that a layout's `use` gives. One is imported only
#: when a task of its type comes.
BUILTIN: dict[str, str] = {
    "noop": "swarm_tui.agent.handlers.noop:Noop",
    "command": "swarm_tui.agent.handlers.command:Command",
    "testing.run": "swarm_tui.agent.handlers.testing.run:Run",
    "testing.coverage": "swarm_tui.agent.handlers.testing.coverage:Coverage",
    "agent-cli": "swarm_tui.agent.handlers.models.agent_cli:AgentCli",
    "code.plan": "swarm_tui.agent.handlers.models.plan:Plan",
    "llm": "swarm_tui.agent.handlers.models.llm:Llm",
    "code.generate": "swarm_tui.agent.handlers.models.generate:Generate",
    "code.merge": "swarm_tui.agent.handlers.models.merge:Merge",
    "code.review": "swarm_tui.agent.handlers.review.review:Review",
    "database.migrate": "swarm_tui.agent.handlers.database.migrate:Migrate",
    "database.backup": "swarm_tui.agent.handlers.database.backup:Backup",
    "deployment.deploy": "swarm_tui.agent.handlers.deployment.deploy:Deploy",
    "deployment.rollback": "swarm_tui.agent.handlers.deployment.deploy:Rollback",
    "security.scan": "swarm_tui.agent.handlers.security.scan:Scan",
    "security.audit": "swarm_tui.agent.handlers.security.audit:Audit",
    "documentation.generate": "swarm_tui.agent.handlers.docs.generate:Generate",
    "monitoring.health": "swarm_tui.agent.handlers.monitoring.health:Health",
    "monitoring.alerts": "swarm_tui.agent.handlers.monitoring.health:Alerts",
    "gateway.probe": "swarm_tui.agent.handlers.gateway:Probe",
}


class UnknownHandlerError(HandlerError):
    """No handler of that name is installed; the text names those that are."""

    def __init__(self, name: str) -> None:
        known = ", ".join(sorted(names()))
        super().__init__(f"no handler for {name!r} is installed here; there are: {known}", code="unknown-type")


def names() -> set[str]:
    """Return the task types and names that have a handler on this machine."""
    return {*BUILTIN, *_extras(), *_provided}


def can_do(task_type: str, spec: HandlerSpec | None = None) -> bool:
    """Return whether a handler for the type is installed, given what the layout says of it."""
    return _where(task_type, spec or HandlerSpec()) in names()


def load(task_type: str, spec: HandlerSpec | None = None) -> Handler:
    """Return a handler for the type: the layout's `command` or `use` first, then the type's own.

    Raises UnknownHandlerError, or HandlerError when its module does not import.
    """
    name = _where(task_type, spec or HandlerSpec())
    kind = _kind(name)
    _load_whole(name, kind.__module__)
    return kind()


def schema(task_type: str, spec: HandlerSpec | None = None) -> dict[str, Any]:
    """Return the JSON schema of the type's payload, without references where one object says all.

    A type that nobody here can do takes any object, one that a `command` does what its placeholders say. Never raises.
    """
    if spec is not None and spec.command is not None:
        return placeholders.fields(spec.command)
    try:
        payload = _kind(_where(task_type, spec or HandlerSpec())).Payload
        whole = msgspec.json.schema(payload)
    except (HandlerError, AttributeError, TypeError):
        return {"type": "object"}
    return _inlined(whole)


def about(task_type: str, spec: HandlerSpec | None = None) -> str:
    """Return what the handler does, in its own first sentence; empty when it says nothing. Never raises."""
    spec = spec or HandlerSpec()
    if spec.command:
        return f"Runs {spec.command[0]}, as the layout says."
    try:
        text = " ".join((_kind(_where(task_type, spec)).__doc__ or "").partition("\n\n")[0].split())
    except HandlerError:
        return ""
    sentence, stop, _ = text.replace("`", "").partition(". ")
    return sentence + stop.strip()


def check(task_type: str, spec: HandlerSpec | None, payload: dict[str, Any]) -> str | None:
    """Return why the payload cannot be done (a sentence with the field's path), or None when it fits."""
    if spec is not None and spec.command is not None:
        return placeholders.misfit(spec.command, payload)
    try:
        kind = _kind(_where(task_type, spec or HandlerSpec())).Payload
    except (HandlerError, AttributeError):
        return None
    try:
        msgspec.convert(payload, kind, strict=False)
    except (msgspec.ValidationError, RecursionError) as error:
        return str(error)
    return None


def slip(task_type: str, spec: HandlerSpec | None, payload: dict[str, Any]) -> str | None:
    """Return why the payload is not what somebody meant who wrote it: it does not fit, or names a field that is none.

    Who does a task passes over fields that it does not know, as readers of this protocol do; who gives one does not.
    """
    return check(task_type, spec, payload) or unknown_field(payload, schema(task_type, spec))


def misfit(task_type: str, specs: Iterable[HandlerSpec | None], payload: dict[str, Any]) -> str | None:
    """Return why the payload is meant for none of those who do the type, as the layout says in `specs`; else None.

    Without any `specs`, and for a type that nobody here can do, nothing is known against it.
    """
    why = None
    for spec in specs:
        why = slip(task_type, spec, payload) if can_do(task_type, spec) else None
        if why is None:
            return None
    return why


def check_options(task_type: str, spec: HandlerSpec) -> str | None:
    """Return why the layout's `options` do not fit the handler, the path at the end, or None when they do.

    A handler that says no `Options`, or is not installed here, takes any.
    """
    try:
        kind = getattr(_kind(_where(task_type, spec)), "Options", None)
        if kind is not None:
            msgspec.convert(spec.options, kind, strict=False)
    except HandlerError:
        return None
    except (msgspec.ValidationError, RecursionError) as error:
        return str(error)
    return None


def _where(task_type: str, spec: HandlerSpec) -> str:
    if spec.command is not None:
        return "command"
    return spec.use or task_type


#: Classes that stand for names before all others, in this process.
_provided: dict[str, type[Handler]] = {}


@contextmanager
def provided(handlers: Mapping[str, type[Handler]]) -> Iterator[None]:
    """Let these names stand for these classes meanwhile: how a test has its own handler done by the real runtime."""
    before = {name: _provided.get(name) for name in handlers}
    _provided.update(handlers)
    try:
        yield
    finally:
        for name, kind in before.items():
            if kind is None:
                _provided.pop(name, None)
            else:
                _provided[name] = kind


def _kind(name: str) -> type[Handler]:
    return _provided.get(name) or _class_of(name)


@cache
def _class_of(name: str) -> type[Handler]:
    where = BUILTIN.get(name)
    try:
        if where is not None:
            module, _, attribute = where.partition(":")
            return cast("type[Handler]", getattr(import_module(module), attribute))
        extra = _extras().get(name)
        if extra is not None:
            return cast("type[Handler]", extra.load())
    except Exception as error:
        raise HandlerError(f"the handler {name!r} does not load: {error}", code="broken-handler") from error
    raise UnknownHandlerError(name)


@cache
def _load_whole(name: str, module: str) -> None:
    """Import now what the handler's modules import only when they run. Raises HandlerError.

    The package may be installed anew under a running agent: what comes to a task half loaded never ends well.
    """
    package, top = f"{module.rpartition('.')[0]}.", f"{module.partition('.')[0]}."
    try:
        for loaded in [
            found for known, found in list(sys.modules.items()) if f"{known}.".startswith((package, f"{module}."))
        ]:
            for deferred in sorted(_deferred_imports(loaded)):
                if deferred.startswith(top):
                    import_module(deferred)
    except Exception as error:
        raise HandlerError(f"the handler {name!r} does not load: {error}", code="broken-handler") from error


def _deferred_imports(module: ModuleType) -> set[str]:
    """Return the dotted names that functions and methods of the module hold, which only imports do."""
    codes = [
        function.__code__
        for holder in (module, *(value for value in vars(module).values() if isinstance(value, type)))
        for function in list(vars(holder).values())
        if isinstance(function, FunctionType) and function.__module__ == module.__name__
    ]
    found: set[str] = set()
    while codes:
        code = codes.pop()
        found.update(name for name in code.co_names if "." in name)
        codes += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
    return found


@cache
def _extras() -> dict[str, Any]:
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=ENTRY_POINTS)}


def _inlined(whole: dict[str, Any]) -> dict[str, Any]:
    reference = whole.get("$ref", "")
    definitions = whole.get("$defs", {})
    if not reference.startswith("#/$defs/"):
        return whole
    top: dict[str, Any] = dict(definitions[reference.removeprefix("#/$defs/")])
    others = {name: value for name, value in definitions.items() if reference != f"#/$defs/{name}"}
    return {**top, "$defs": others} if others else top
