"""A draft between two openings of the form, and in words: how it is kept, and what a field says of itself."""

from swarm_tui.ui.draft import Draft, Field, shown

_KINDS = {"array": "a, b, c", "object": "an object", "any": "any value", "string": ""}


def kept(draft: Draft) -> dict[str, object]:
    """The draft as it is kept until the form opens again."""
    return {
        "type": draft.type,
        "values": draft.values,
        "raw": draft.raw,
        "target": draft.target,
        "priority": draft.priority,
        "timeout": draft.timeout,
    }


def draft_from(kept: dict[str, object]) -> Draft:
    """The draft of what was kept; what is none of its own is left out."""
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


def field_help(each: Field) -> str:
    """What to write there: the kind where it is not plain text, and what is taken when nothing is written."""
    kind = _KINDS.get(each.kind, each.kind)
    what = " or ".join(map(str, each.choices)) if each.choices else kind
    default = f"empty: {shown(each.default)}" if each.default not in (None, "", [], {}) else ""
    more = "; ".join(part for part in (what, default) if part)
    if not each.help:
        return more or "text"
    return f"{each.help} ({more})" if more else each.help
