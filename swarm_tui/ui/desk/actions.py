"""The one registry of acts: keys, palette, footer and help all read it."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from msgspec import Struct

from swarm_tui.config.keynames import CHARACTERS
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.keymap import Wanted, mapped, types

#: Where an act has effect; `anywhere` is every screen that is not a dialog.
SCOPES = ("agents", "tasks", "stream", "pane", "wall", "agent", "task", "message", "form", "help", "problems")
LISTS = ("agents", "tasks", "stream", "pane", "wall", "agent", "task", "message", "help", "problems")
MAIN = ("agents", "tasks", "stream", "pane")
AGENTS = ("agents", "agent", "pane", "wall")
TASKS = ("tasks", "task")

Can = Callable[[Context], "str | None"]
Run = Callable[[Context], Any]


class Action(Struct, frozen=True, kw_only=True):
    """One act. `can` gives the reason why not, `confirm` the question to ask first, or None, `yes` the verb of its
    answer where that is not the label. `of_life`: it is about the agent's incarnation, and void for the next one.

    `label` is for the footer (a word or two), `help` a sentence. `writes` acts are off under `--read-only`.
    `rank` orders the footer: 0 keeps it out. `now` is the label where it does one of two things; `asked_for` tells
    that the thing at hand is in a state that the act is there to end, so that the footer has it first.
    """

    name: str
    keys: tuple[str, ...]
    label: str
    help: str
    group: str
    run: Run
    scopes: tuple[str, ...] = LISTS
    can: Can = lambda _: None
    confirm: Can = lambda _: None
    yes: Can = lambda _: None
    now: Can = lambda _: None
    asked_for: Callable[[Context], bool] = lambda _: False
    writes: bool = False
    of_life: bool = False
    rank: int = 0
    palette: bool = True

    def why_not(self, context: Context) -> str | None:
        """Why it cannot act here and now, as a sentence; None when it can."""
        if context.scope not in self.scopes:
            return f"{self.label} works on {_places(self.scopes)}"
        if self.writes and context.read_only:
            return f"{self.label} is off: the screen was opened with --read-only"
        return self.can(context)


_PLACE = {
    "agents": "agents", "tasks": "tasks", "stream": "the stream", "pane": "the pane", "wall": "the wall",
    "agent": "an agent's page", "task": "a task's page", "message": "a message", "form": "the form", "help": "help",
    "problems": "the problems",
}  # fmt: skip


def _places(scopes: Sequence[str]) -> str:
    names = [_PLACE[scope] for scope in scopes]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


class Registry:
    """All acts by name and by key; `keymap` gives acts other keys, and `notes` are what is to be said of it."""

    def __init__(self, actions: Iterable[Action], keymap: Wanted | None = None) -> None:
        self.actions: dict[str, Action] = {action.name: action for action in actions}
        self._keys, self.notes = mapped(self.actions.values(), keymap or {})

    def keys(self, name: str) -> tuple[str, ...]:
        """The keys of an act."""
        return self._keys[name]

    def bound(self) -> dict[str, list[Action]]:
        """Each key with its acts."""
        bound: dict[str, list[Action]] = {}
        for name, keys in self._keys.items():
            for key in keys:
                bound.setdefault(key, []).append(self.actions[name])
        return bound

    def pick(self, key: str, scope: str) -> Action | None:
        """The act of `key` in `scope`; where none has effect there, one that can say so."""
        acts = self.bound().get(key, [])
        return next((act for act in acts if scope in act.scopes), acts[0] if acts else None)

    def here(self, scope: str) -> list[Action]:
        """The acts that have effect in `scope`, in their order."""
        return [act for act in self.actions.values() if scope in act.scopes]

    def key_text(self, name: str, *, typing: bool = False) -> str:
        """The act's first key as people write it; while they type, the first that is not a letter of their text."""
        keys = [key for key in self._keys[name] if not (typing and types(key))]
        return pretty(keys[0]) if keys else ""

    def told(self, name: str) -> str:
        """The act's key for a sentence; of one that has none, what runs it instead."""
        act = self.actions[name]
        return self.key_text(name) or (f":{name}" if act.palette else act.label)


_PRETTY = {
    **CHARACTERS, "escape": "Esc", "up": "↑", "down": "↓", "left": "←", "right": "→", "shift+tab": "shift-tab",
    "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End",
}  # fmt: skip


def pretty(key: str) -> str:
    """A key's name as people write it."""
    if key in _PRETTY:
        return _PRETTY[key]
    if key[0] == "f" and key[1:].isdecimal():
        return key.upper()
    return "^" + key[5:].upper() if key.startswith("ctrl+") and len(key) == 6 else key
