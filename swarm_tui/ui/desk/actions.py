"""The one registry of acts: keys, palette, footer and help all read it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from msgspec import Struct

from swarm_tui.config.keynames import CHARACTERS
from swarm_tui.ui.desk.capabilities import Capability, capability
from swarm_tui.ui.desk.context import Context
from swarm_tui.ui.desk.keymap import Wanted, mapped, types
from swarm_tui.ui.look.text import clock
from swarm_tui.ui.look.words import keyed

#: Where an act has effect; `anywhere` is every screen that is not a dialog.
SCOPES = ("agents", "tasks", "stream", "pane", "wall", "agent", "task", "message", "form", "help", "problems", "run")
LISTS = ("agents", "tasks", "stream", "pane", "wall", "agent", "task", "message", "help", "problems", "run")
MAIN = ("agents", "tasks", "stream", "pane")
AGENTS = ("agents", "agent", "pane", "wall")
TASKS = ("tasks", "task", "run")

C = TypeVar("C", bound=Capability)
Can = Callable[[Context], "str | None"]
Run = Callable[[Context], Any]


class Action(Struct, frozen=True, kw_only=True):
    """An act. `can` gives the reason why not, `confirm` the question to ask first, or None, `yes` the verb of its
    answer where that is not the label. `of_incarnation`: it is about one incarnation, void for the next.

    `label` is for the footer (a word or two), `help` a sentence. `writes` acts are off under `--read-only`.
    `rank` orders the footer: 0 keeps it out. `now` is the label where it does one of two things; `asked_for` tells
    that the thing at hand is in a state that the act is there to end, so that the footer has it first. `about` is what
    a question is about besides its tasks or agents: the question is void once that is another.
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
    about: Callable[[Context], object] = lambda _: None
    needs: type[Capability] | None = None
    """The capability that the screen must have."""
    writes: bool = False
    order: bool = True
    """Of one that writes: it orders the swarm, which takes a person's key; others publish, or stay on this host."""
    of_incarnation: bool = False
    rank: int = 0
    palette: bool = True

    def why_not(self, context: Context) -> str | None:
        """Return why it cannot act here and now, as a sentence; None when it can."""
        if context.scope not in self.scopes:
            return f"{self.label} works on {_places(self.scopes)}"
        if self.writes and context.read_only:
            return f"{self.label} is off: the screen was opened with --read-only"
        if self.writes and self.order and (reason := context.desk.source.facts.no_orders):
            return f"{self.label} is for operators: {reason}"
        if self.writes and (moment := context.model.moment) is not None:
            now = context.desk.registry.told("now")
            return f"{self.label} is for what is now, and this is how it was at {clock(moment.at)}: {now} goes back"
        if self.needs is not None and not isinstance(context.screen, self.needs):
            return keyed(self.needs.LACKS, context.desk.registry.told)
        return self.can(context)


_PLACE = {
    "agents": "agents", "tasks": "tasks", "stream": "the stream", "pane": "the pane", "wall": "the wall",
    "agent": "an agent's page", "task": "a task's page", "message": "a message", "form": "the form", "help": "help",
    "problems": "the problems", "run": "the runs",
}  # fmt: skip


def _places(scopes: Sequence[str]) -> str:
    names = [_PLACE[scope] for scope in scopes]
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def use(needs: type[C], does: Callable[[C], Any]) -> Run:
    """Return what runs `does` with the screen, as far as it has the capability."""

    def run(context: Context) -> None:
        if (screen := capability(context.screen, needs)) is not None:
            does(screen)

    return run


def ask(needs: type[C], asks: Callable[[C], "str | None"]) -> Can:
    """Return what asks the screen, as far as it has the capability; None where it has it not."""
    return lambda context: None if (screen := capability(context.screen, needs)) is None else asks(screen)


class Registry:
    """All acts by name, by key and by place, indexed once; `keymap` gives acts other keys, `notes` tells of it."""

    def __init__(self, actions: Iterable[Action], keymap: Wanted | None = None) -> None:
        self.actions: dict[str, Action] = {action.name: action for action in actions}
        self._keys, self.notes = mapped(self.actions.values(), keymap or {})
        self._bound: dict[str, list[Action]] = {}
        self._here: dict[str, list[Action]] = {scope: [] for scope in SCOPES}
        self._picked: dict[tuple[str, str], Action] = {}
        for name, keys in self._keys.items():
            for key in keys:
                self._bound.setdefault(key, []).append(self.actions[name])
        for action in self.actions.values():
            for scope in action.scopes:
                self._here[scope].append(action)
        for key, acts in self._bound.items():
            for act in acts:
                for scope in act.scopes:
                    self._picked.setdefault((key, scope), act)

    def keys(self, name: str) -> tuple[str, ...]:
        """Return the keys of an act."""
        return self._keys[name]

    def bound(self) -> Mapping[str, list[Action]]:
        """Return each key with its acts."""
        return self._bound

    def pick(self, key: str, scope: str) -> Action | None:
        """Return the act of `key` in `scope`; where none has effect there, one that can say so."""
        return self._picked.get((key, scope)) or next(iter(self._bound.get(key, ())), None)

    def here(self, scope: str) -> list[Action]:
        """Return the acts that have effect in `scope`, in their order."""
        return self._here.get(scope, [])

    def key_text(self, name: str, *, typing: bool = False) -> str:
        """Return the act's first key as people write it; while they type, the first that is no letter of theirs."""
        keys = [key for key in self._keys[name] if not (typing and types(key))]
        return pretty(keys[0]) if keys else ""

    def told(self, name: str) -> str:
        """Return the act's key for a sentence; of one that has none, what runs it instead."""
        act = self.actions[name]
        return self.key_text(name) or (f":{name}" if act.palette else act.label)


_PRETTY = {
    **CHARACTERS, "escape": "Esc", "up": "↑", "down": "↓", "left": "←", "right": "→", "shift+tab": "shift-tab",
    "pageup": "PgUp", "pagedown": "PgDn", "home": "Home", "end": "End",
}  # fmt: skip


def pretty(key: str) -> str:
    """Return a key's name as people write it."""
    if key in _PRETTY:
        return _PRETTY[key]
    if key[0] == "f" and key[1:].isdecimal():
        return key.upper()
    return "^" + key[5:].upper() if key.startswith("ctrl+") and len(key) == 6 else key
