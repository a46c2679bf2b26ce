"""Find what a payload names and its type's schema does not know: a slip there would change what is done."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

_MOST_NAMED = 16


def unknown_field(payload: Mapping[str, Any], schema: Mapping[str, Any]) -> str | None:
    """Return a sentence for the first field that the JSON schema does not name, however deep; None without one.

    An object whose schema names no fields, or allows others (a command hears all of them), may hold any.
    """
    return _look(payload, schema, schema.get("$defs", {}), "")


def _look(value: Any, spec: Any, definitions: Mapping[str, Any], path: str) -> str | None:
    spec = _resolved(spec, definitions)
    if choices := spec.get("anyOf"):
        found = [_look(value, choice, definitions, path) for choice in choices if _is_of(value, choice, definitions)]
        return None if None in found else next(iter(found), None)
    if isinstance(value, list):
        return _first(_look(each, spec.get("items"), definitions, f"{path}[{n}]") for n, each in enumerate(value))
    if not isinstance(value, dict):
        return None
    known, others = spec.get("properties") or {}, spec.get("additionalProperties")
    for name, inner in value.items():
        where = f"{path}.{name}" if path else str(name)
        if name in known:
            why = _look(inner, known[name], definitions, where)
        elif known and not others:
            why = f"there is no field `{where[:80]}`{_near(name, list(known))}"
        else:
            why = _look(inner, others, definitions, where)
        if why is not None:
            return why
    return None


def _resolved(spec: Any, definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    if isinstance(spec, dict) and "$ref" in spec:
        spec = definitions.get(str(spec["$ref"]).rpartition("/")[2])
    return spec if isinstance(spec, dict) else {}


def _is_of(value: Any, choice: Any, definitions: Mapping[str, Any]) -> bool:
    """Return whether a choice is an object or a list as the value is, or neither as it is neither."""
    kind = _resolved(choice, definitions).get("type")
    wanted = "object" if isinstance(value, dict) else "array" if isinstance(value, list) else None
    return kind == wanted if wanted else kind not in ("object", "array")


def _first(found: Any) -> str | None:
    return next((why for why in found if why is not None), None)


def _near(name: str, known: list[str]) -> str:
    if close := get_close_matches(name, known, n=1, cutoff=0.6):
        return f" (did you mean `{close[0]}`?)"
    return f" (there are: {', '.join(known)})" if len(known) <= _MOST_NAMED else ""
