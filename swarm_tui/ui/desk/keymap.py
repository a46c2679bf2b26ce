"""The keys of all acts: those they come with, and those that a person gave them instead."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from swarm_tui.config.keynames import CHARACTERS, key_name, written

if TYPE_CHECKING:
    from swarm_tui.ui.desk.actions import Action

Wanted = Mapping[str, str | Sequence[str]]


def mapped(actions: Iterable["Action"], wanted: Wanted) -> tuple[dict[str, tuple[str, ...]], list[str]]:
    """Return the keys of each act, and what is to be said about it.

    A key that a person gives an act is taken from the others that have it in the same place: what was asked for works,
    and what went for it is told.
    """
    acts = {act.name: act for act in actions}
    keys = {name: act.keys for name, act in acts.items()}
    notes: list[str] = []
    chosen: dict[str, tuple[str, ...]] = {}
    for name, texts in wanted.items():
        if name not in acts:
            notes.append(f"keys: there is no act {name!r}")
        elif (named := _named(acts[name], texts, notes)) is not None:
            chosen[name] = keys[name] = named
    for name, named in chosen.items():
        for other, act in acts.items():
            lost = [key for key in keys[other] if key in named]
            if other == name or not lost or not set(act.scopes) & set(acts[name].scopes):
                continue
            keys[other] = tuple(key for key in keys[other] if key not in lost)
            left = f"which has {_shown(keys[other])}" if keys[other] else "which has no key now"
            notes.append(f"keys: {_shown(lost)} is the key of {name}, no more of {other}, {left}")
    return keys, notes


def _named(act: "Action", texts: str | Sequence[str], notes: list[str]) -> tuple[str, ...] | None:
    """Return the keys by their names; None where they cannot be, and the act keeps its own."""
    found: list[str] = []
    for text in written(texts):
        key = key_name(text)
        if key is None:
            notes.append(f"keys: {act.name}: there is no key {text!r}")
            return None
        if act.scopes == ("form",) and types(key):
            notes.append(f"keys: {act.name}: {text} is text in the form")
            return None
        found.append(key)
    return tuple(dict.fromkeys(found))


def _shown(keys: Iterable[str]) -> str:
    return " ".join(CHARACTERS.get(key, key) for key in keys)


def types(key: str) -> bool:
    """Tell whether the key puts a character into a field that has the focus."""
    return len(key) == 1 or key in CHARACTERS or key == "space"
