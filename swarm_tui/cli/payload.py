"""A task's payload, from the command line; and what a type's payload may hold."""

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import IO, Any

import msgspec

from swarm_tui.cli.common import USAGE, Failure
from swarm_tui.client.ids import new_id
from swarm_tui.client.operator import sender
from swarm_tui.config.home import at_home, host_name, user_name
from swarm_tui.protocol.bodies import Body, Task
from swarm_tui.protocol.codec import MAX_BYTES, Writer, refusal
from swarm_tui.protocol.topics import Kind


def build_payload(
    whole: str | None, pairs: tuple[str, ...], stdin: IO[bytes], fields: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """The payload of `--payload JSON|@file|-` with each `-p key=value` put into it. Raises Failure (exit 2).

    A value is read as JSON where that can be, but stays text where `fields`, the schema's properties, take only text.
    """
    payload = _whole(whole, stdin) if whole is not None else {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not all(key.split(".")):
            raise Failure(f"-p {pair}: write it as key=value, with dots to nest: -p options.depth=2", USAGE)
        only_text = _takes_only_text(fields.get(key))
        _put(payload, key, text if only_text and not text.startswith('"') else _value(text), pair)
    return payload


def _takes_only_text(field: Any) -> bool:
    """Return whether the schema of a field allows text, and nothing else but null."""
    if not isinstance(field, dict):
        return False
    kinds = [kind for kind in field.get("anyOf", [field]) if isinstance(kind, dict) and kind.get("type") != "null"]
    return bool(kinds) and all(_is_text(kind) for kind in kinds)


def _is_text(kind: dict[str, Any]) -> bool:
    if "enum" in kind:
        return all(isinstance(choice, str) for choice in kind["enum"])
    return kind.get("type") == "string"


def _whole(text: str, stdin: IO[bytes]) -> dict[str, Any]:
    where, raw = "--payload", text.encode()
    if text == "-":
        where, raw = "stdin", stdin.read(MAX_BYTES + 1)
    elif text.startswith("@"):
        where = text[1:]
        try:
            with open(at_home(where), "rb") as file:
                raw = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise Failure(f"{where} cannot be read: {error.strerror}", USAGE) from None
    if len(raw) > MAX_BYTES:
        raise Failure(f"{where}: more than {MAX_BYTES:,} bytes; a message holds no more", USAGE)
    try:
        value = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Failure(f"{where} is not JSON: {error}", USAGE) from None
    if not isinstance(value, dict):
        raise Failure(f"{where}: a payload is a JSON object, {{…}}", USAGE)
    return value


def check_message(swarm: str, task: Task) -> None:
    """Raises Failure (exit 2) for a task whose message no reader takes: too big with its envelope, nested too deep."""
    check_fits(swarm, Kind.TASK_NEW, task, "task")


def check_fits(swarm: str, kind: Kind, body: Body, what: str) -> None:
    """Raises Failure (exit 2) for a message that no reader takes; `what` is a word for it."""
    now = time.time()
    writer = Writer(swarm, sender(user_name(), host_name()), "operator", new_id=new_id, clock=lambda: now)
    message = writer.message(kind, body)
    if reason := refusal(swarm, message.topic, message.payload, now):
        raise Failure(f"no agent would read this {what}: {reason}; put large data into a file and name that", USAGE)


def _value(text: str) -> Any:
    try:
        return msgspec.json.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return text


def _put(payload: dict[str, Any], key: str, value: Any, pair: str) -> None:
    *path, last = key.split(".")
    inner = payload
    for part in path:
        inner = inner.setdefault(part, {})
        if not isinstance(inner, dict):
            raise Failure(f"-p {pair}: `{part}` is already a value, so nothing can be put into it", USAGE)
    inner[last] = value


def describe_payload(task_type: str) -> str:
    """The fields of the type's payload in lines for people."""
    try:
        from swarm_tui.agent.handlers import registry
    except ImportError:
        return f"The payload of {task_type} is not known here."
    if not registry.can_do(task_type):
        known = ", ".join(sorted(registry.names()))
        return f"No handler of {task_type} is installed here, so its payload is free.\nKnown types: {known}"
    schema = registry.schema(task_type)
    definitions = schema.get("$defs", {})
    fields = schema.get("properties", {})
    required = set(schema.get("required", ()))
    lines = [f"Payload of {task_type}:"]
    for name, field in fields.items():
        default = "" if "default" not in field or field["default"] is None else f", default {_plain(field['default'])}"
        need = ", required" if name in required else default
        lines.append(f"  {name}  ({_type(field, definitions)}{need})")
        if field.get("description"):
            lines.append(f"      {field['description']}")
    if not fields:
        lines.append("  any JSON object")
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _type(field: dict[str, Any], definitions: dict[str, Any]) -> str:
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return _type(definitions.get(name, {"type": "object"}), {})
    if "anyOf" in field:
        kinds = [_type(kind, definitions) for kind in field["anyOf"] if kind.get("type") != "null"]
        return " or ".join(dict.fromkeys(kinds))
    if "enum" in field:
        return " | ".join(str(choice) for choice in field["enum"])
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}), definitions)}"
    kind = str(field.get("type", "anything"))
    return {"string": "text", "integer": "whole number", "boolean": "true or false"}.get(kind, kind)
