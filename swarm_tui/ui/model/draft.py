"""A task being written: text in, a checked Task or the mistakes of each field out."""

import math
from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import Struct, field

from swarm_tui.config.document import parse_document
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.payload_fields import unknown_field
from swarm_tui.protocol.bodies import Priority, Task
from swarm_tui.protocol.codec import MAX_BYTES
from swarm_tui.protocol.names import InvalidNameError, check_agent_id, check_task_type
from swarm_tui.ui.model.saved_state import ScreenState
from swarm_tui.ui.model.source import TaskType

DRAFTS = 5
"""Drafts that are kept."""


class Field(Struct, frozen=True, kw_only=True):
    """A field of a payload's schema. `kind` is string, integer, number, boolean, array or object."""

    name: str
    kind: str
    required: bool = False
    help: str = ""
    default: Any = None
    choices: list[Any] = []
    least: float | None = None
    most: float | None = None


class Draft(Struct, kw_only=True):
    """Content of the form, as typed."""

    type: str = ""
    values: dict[str, str] = field(default_factory=dict)
    raw: str | None = None
    """The payload as JSON or YAML; None while the fields are used."""
    target: str = ""
    priority: str = "medium"
    timeout: str = ""


def fields_of(schema: dict[str, Any]) -> list[Field]:
    """Return the fields of an object's schema, the required ones first."""
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return []
    required = set(schema.get("required") or [])
    found = [
        _field(name, spec, name in required, schema) for name, spec in properties.items() if isinstance(spec, dict)
    ]
    return sorted(found, key=lambda each: not each.required)


def _field(name: str, spec: dict[str, Any], required: bool, schema: dict[str, Any]) -> Field:
    spec = _resolved(spec, schema)
    choices = list(spec.get("enum") or [])
    return Field(
        name=str(name),
        kind=_kind(spec),
        required=required,
        help=str(spec.get("description") or spec.get("title") or ""),
        default=spec.get("default"),
        choices=choices,
        least=spec.get("minimum"),
        most=spec.get("maximum"),
    )


def _resolved(spec: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    for _ in range(8):
        if isinstance(spec.get("anyOf"), list):
            some = [each for each in spec["anyOf"] if isinstance(each, dict) and each.get("type") != "null"]
            spec = {**spec, **(some[0] if some else {})}
            spec.pop("anyOf")
        elif isinstance(spec.get("$ref"), str):
            inner = (schema.get("$defs") or {}).get(spec["$ref"].rsplit("/", 1)[-1])
            spec = {**(inner if isinstance(inner, dict) else {}), **{k: v for k, v in spec.items() if k != "$ref"}}
        else:
            break
    return spec


def _kind(spec: dict[str, Any]) -> str:
    kind = spec.get("type", "string" if "enum" in spec else "any")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "any")
    return str(kind)


def read_value(each: Field, text: str) -> tuple[Any, str | None]:
    """Return the field's value, or why the text is none."""
    text = text.strip()
    if not text:
        return None, "is needed" if each.required else None
    if each.choices:
        match = next((choice for choice in each.choices if str(choice) == text), None)
        return (match, None) if match is not None else (None, f"one of {', '.join(map(str, each.choices))}")
    if each.kind == "string":
        return text, None
    if each.kind == "boolean":
        word = {"true": True, "yes": True, "false": False, "no": False}.get(text.lower())
        return (word, None) if word is not None else (None, "true or false")
    if each.kind in ("integer", "number"):
        return _number(each, text)
    return _structured(each, text)


def _number(each: Field, text: str) -> tuple[Any, str | None]:
    try:
        value: float = int(text) if each.kind == "integer" else float(text)
    except ValueError:
        return None, "a whole number" if each.kind == "integer" else "a number"
    if isinstance(value, float) and not math.isfinite(value):
        return None, "a number"
    if each.least is not None and value < each.least:
        return None, f"at least {each.least:g}"
    if each.most is not None and value > each.most:
        return None, f"at most {each.most:g}"
    return value, None


def _structured(each: Field, text: str) -> tuple[Any, str | None]:
    value, problem = parse_text(text)
    if each.kind == "array" and not isinstance(value, list):
        return [part.strip() for part in text.split(",")], None
    if problem is not None and each.kind != "any":
        return None, problem
    if each.kind == "object" and not isinstance(value, dict):
        return None, 'an object, as {"name": "value"}'
    return (text if problem else value), None


def parse_text(text: str) -> tuple[Any, str | None]:
    """Read JSON, or else YAML as layouts have it (`on` and `12:30` are text); the value, or where it went wrong."""
    try:
        return msgspec.json.decode(text), None
    except (msgspec.DecodeError, UnicodeError):
        pass
    except RecursionError:
        return None, "it is too deep"
    try:
        document = parse_document(text.encode("utf-8", "surrogatepass"), "payload", None)
        msgspec.json.encode(document.value)
        problems = document.problems
    except ConfigError as error:
        problems = error.problems
    except (TypeError, ValueError, RecursionError) as error:
        return None, f"not JSON and not YAML: {error}"[:200]
    if problems:
        first = problems[0]
        return None, f"line {first.line}, column {first.column}: {first.reason}" if first.line else first.reason
    return document.value, None


def payload_of(draft: Draft, known: TaskType | None) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the payload, and each field's mistake by its name (`payload` for the raw text)."""
    if draft.raw is not None:
        value, problem = parse_text(draft.raw) if draft.raw.strip() else ({}, None)
        if problem is None and not isinstance(value, dict):
            problem = "a payload is an object: names with values"
        elif problem is None and known is not None:
            problem = unknown_field(value, known.schema)
        return (value if isinstance(value, dict) else {}), ({"payload": problem} if problem else {})
    payload: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for each in fields_of(known.schema if known else {}):
        value, problem = read_value(each, draft.values.get(each.name, ""))
        if problem is not None:
            wrong[each.name] = problem
        elif value is not None:
            payload[each.name] = value
    return payload, wrong


def as_text(draft: Draft, known: TaskType | None) -> str:
    """Return the payload as JSON to write on; what is no value of its field yet stays as it was typed."""
    payload, wrong = payload_of(draft, known)
    typed = {name: draft.values[name] for name in wrong if draft.values.get(name)}
    return msgspec.json.format(msgspec.json.encode({**payload, **typed}), indent=2).decode()


def task_of(draft: Draft, known: TaskType | None, task_id: str) -> tuple[Task | None, dict[str, str]]:
    """Return the task to publish, or the mistakes: of a payload's field under `payload.` and its name."""
    payload, mistakes = payload_of(draft, known)
    wrong = {name if draft.raw is not None else f"payload.{name}": why for name, why in mistakes.items()}
    try:
        check_task_type(draft.type)
    except InvalidNameError:
        wrong["type"] = (
            "is needed: letters, digits and . _ : / -" if not draft.type else "may hold A-Z a-z 0-9 . _ : / -"
        )
    if draft.target:
        try:
            check_agent_id(draft.target)
        except InvalidNameError:
            wrong["target"] = "is no agent id"
    timeout = _timeout(draft.timeout, wrong)
    if not wrong and len(msgspec.json.encode(payload)) > MAX_BYTES - 2048:
        wrong["payload"] = f"is too large: at most {MAX_BYTES // 1024} KiB travel; put it in a file and name that"
    if wrong:
        return None, wrong
    return Task(
        task_id=task_id,
        type=draft.type,
        payload=payload,
        priority=_PRIORITIES.get(draft.priority, "medium"),
        assigned_to=draft.target or None,
        timeout=timeout,
    ), {}


_PRIORITIES: dict[str, Priority] = {"low": "low", "medium": "medium", "high": "high"}


def _timeout(text: str, wrong: dict[str, str]) -> float | None:
    if not text.strip():
        return None
    try:
        seconds = float(text)
    except ValueError:
        wrong["timeout"] = "seconds, a number"
        return None
    if not 0 < seconds <= 604_800:
        wrong["timeout"] = "from 1 second to 7 days"
        return None
    return seconds


def values_from(payload: dict[str, Any], known: TaskType | None) -> tuple[dict[str, str], str | None]:
    """Return the payload as texts of fields; or, where fields cannot hold it, as raw text."""
    names = {each.name for each in fields_of(known.schema if known else {})}
    if not names or not set(payload) <= names:
        return {}, msgspec.json.format(msgspec.json.encode(payload), indent=2).decode()
    return {name: shown(value) for name, value in payload.items()}, None


def into_fields(draft: Draft, known: TaskType | None) -> bool:
    """Lay the raw text out in the type's fields; False where they cannot hold all of it."""
    payload, wrong = payload_of(draft, known)
    values, rest = values_from(payload, known)
    if wrong or rest is not None:
        return False
    draft.values, draft.raw = values, None
    return True


def shown(value: Any) -> str:
    """Return a value as a person would type it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_KINDS = {"array": "a, b, c", "object": "an object", "any": "any value", "string": ""}


def kept(draft: Draft) -> dict[str, object]:
    """Return the draft as it is kept until the form opens again."""
    return {
        "type": draft.type,
        "values": draft.values,
        "raw": draft.raw,
        "target": draft.target,
        "priority": draft.priority,
        "timeout": draft.timeout,
    }


def is_blank(kept: dict[str, object]) -> bool:
    """Tell whether nobody has written anything into the draft."""
    values = kept.get("values")
    typed = any(values.values()) if isinstance(values, dict) else False
    return not (kept.get("type") or kept.get("raw") or kept.get("target") or typed)


class Drafts:
    """Tasks that were begun in the form and not sent, kept in the screen's state."""

    def __init__(self, state: ScreenState) -> None:
        self._state = state
        self._sent: dict[str, object] = {}

    def keep(self, content: dict[str, Any]) -> None:
        """Keep what is written now, whatever ends the screen; what was sent as it is needs no keeping."""
        self._state.draft = {} if content == self._sent or is_blank(content) else content

    def sent(self, content: dict[str, object]) -> None:
        """Take what was sent for no draft."""
        self._sent, self._state.draft = content, {}

    def put_aside(self, content: dict[str, Any]) -> None:
        """Make a draft of what is written, the newest; the last few are kept."""
        state = self._state
        if content != self._sent and not is_blank(content):
            state.drafts = [content, *(old for old in state.drafts if old != content)][:DRAFTS]
        state.draft = {}

    def offered(self, content: dict[str, object]) -> str:
        """Return the type of the draft that is offered while nothing is written; empty for none."""
        drafts = self._state.drafts
        return str(drafts[0].get("type") or "no type yet") if drafts and is_blank(content) else ""


def draft_from(kept: dict[str, object]) -> Draft:
    """Return the draft of what was kept; what is none of its own is left out."""
    values = kept.get("values")
    raw = kept.get("raw")
    return Draft(
        type=str(kept.get("type") or ""),
        values={str(k): str(v) for k, v in values.items()} if isinstance(values, dict) else {},
        raw=raw if isinstance(raw, str) else None,
        target=str(kept.get("target") or ""),
        priority=str(kept.get("priority") or "medium"),
        timeout=str(kept.get("timeout") or ""),
    )


def types_sent(sent: Iterable[dict[str, Any]]) -> list[str]:
    """Return the types of the tasks that were sent, each once."""
    return list(dict.fromkeys(str(entry.get("type")) for entry in sent))


def field_help(each: Field) -> str:
    """Return what to write there: the kind where it is not plain text, and what is taken when nothing is written."""
    kind = _KINDS.get(each.kind, each.kind)
    what = (" or " if len(each.choices) <= 4 else ", ").join(map(str, each.choices)) if each.choices else kind
    default = f"empty: {shown(each.default)}" if each.default not in (None, "", [], {}) else ""
    more = "; ".join(part for part in (what, default) if part)
    if not each.help:
        return more or "text"
    return f"{each.help} ({more})" if more else each.help
