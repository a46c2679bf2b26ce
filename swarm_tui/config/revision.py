"""The running layout in facts that all may read, so that the record tells what changed from one to the next.

Whatever may hold a secret is a mark: values of variables, arguments of commands, options. Marks are keyed by the
swarm's own salt, so that nobody guesses what they are made of.
"""

import os
from collections.abc import Iterator, Mapping
from hashlib import blake2b
from typing import Any

import msgspec
from msgspec import Struct, structs

from swarm_tui.config.files import write_private
from swarm_tui.config.model import AgentEntry, HandlerSpec, Layout, ScheduleEntry
from swarm_tui.config.paths import StateDir
from swarm_tui.config.urls import shown_url
from swarm_tui.protocol.host_bodies import LayoutRevision

#: Entries that are told of, and letters of a fact: the message that has them is said every few seconds.
MOST_ENTRIES, LONGEST = 60, 160
_SALT = 16
_SECTIONS = ("defaults", "policy", "supervisor", "tmux")
_Facts = dict[str, str]


def read_salt(state: StateDir) -> bytes:
    """Return the salt of the swarm's marks on this host, made when there is none; each time where the disk refuses."""
    path = state.root / "layout.salt"
    try:
        if len(salt := path.read_bytes()) == _SALT:
            return salt
    except OSError:
        pass
    salt = os.urandom(_SALT)
    try:
        write_private(path, salt)
    except OSError:
        return salt
    return salt


def revision_of(layout: Layout, *, file: str, by: str, at: float, salt: bytes) -> LayoutRevision:
    """Return the layout's facts: who had it run, since when, and for each of its entries what it says."""
    told = _Teller(salt)
    entries: dict[str, _Facts] = {}
    for entry in layout.agents:
        name = " ".join(filter(None, (entry.role, entry.id)))
        entries[_free(name, entries)] = told.agent(entry)
    for schedule in layout.schedules:
        entries[_free(f"schedule {schedule.name}", entries)] = told.schedule(schedule)
    for section in _SECTIONS:
        if facts := dict(told.plain(getattr(layout, section))):
            entries[section] = facts
    entries["broker"] = {"url": shown_url(layout.broker.url), **dict(told.plain(layout.broker, "url", "password"))}
    entries["swarm"] = {"workdir": layout.workdir, **({"session": layout.session} if layout.session else {})}
    kept = {
        name[:LONGEST]: {fact: text[:LONGEST] for fact, text in facts.items()}
        for name, facts in list(entries.items())[:MOST_ENTRIES]
    }
    whole = msgspec.json.encode(entries, order="sorted")
    return LayoutRevision(revision=told.mark(whole), at=at, by=by, file=os.path.basename(file), entries=kept)


def _free(name: str, entries: Mapping[str, _Facts]) -> str:
    """Return the name, or with a number that no entry before it has."""
    number, free = 1, name
    while free in entries:
        number += 1
        free = f"{name} ({number})"
    return free


class _Teller:
    def __init__(self, salt: bytes) -> None:
        self._salt = salt

    def mark(self, value: Any) -> str:
        """Return eight hex digits that stand for the value, the same for the same."""
        raw = value if isinstance(value, bytes) else msgspec.json.encode(value, order="sorted")
        return blake2b(raw, key=self._salt, digest_size=4).hexdigest()

    def plain(self, of: Struct, *without: str) -> Iterator[tuple[str, str]]:
        """Yield the fields that are not as they are by default, and that hold numbers, words or lists of these."""
        for field in structs.fields(type(of)):
            value = getattr(of, field.name)
            if field.name in without or value == field.default or value in ({}, []):
                continue
            if isinstance(value, Struct):
                value = dict(self.plain(value))
                text = ", ".join(f"{name} {said}" for name, said in value.items())
            elif isinstance(value, list):
                text = ", ".join(map(str, value))
            elif isinstance(value, dict):
                text = f"{', '.join(map(str, value))} ({self.mark(value)})"
            else:
                text = f"{value:g}" if isinstance(value, float) else str(value)
            if text:
                yield field.name, text

    def agent(self, entry: AgentEntry) -> _Facts:
        """Return what an entry says of its agents."""
        facts = {"agents": _number(entry)}
        if entry.command:
            facts["command"] = self._command(entry.command)
        if entry.env:
            facts["env"] = f"{', '.join(sorted(entry.env))} ({self.mark(entry.env)})"
        if entry.depends_on:
            facts["depends on"] = ", ".join(entry.depends_on)
        told = ("role", "id", "count", "min", "max", "command", "env", "depends_on", "handlers")
        facts |= dict(self.plain(entry, *told))
        for name, spec in entry.handlers.items():
            facts |= self._handler(f"handler {name}", spec)
        return facts

    def _command(self, command: list[str]) -> str:
        rest = f" … ({self.mark(command)})" if len(command) > 1 else ""
        return f"{os.path.basename(command[0])}{rest}"

    def _handler(self, name: str, spec: HandlerSpec) -> _Facts:
        does = self._command(spec.command) if spec.command else spec.use or "its own"
        return {name: does, **{f"{name} {fact}": text for fact, text in self.plain(spec, "use", "command")}}

    def schedule(self, entry: ScheduleEntry) -> _Facts:
        """Return what a schedule says: when, and what."""
        what, flow = entry.type or "nothing", entry.workflow
        if flow is not None:
            what = f"workflow {flow if isinstance(flow, str) else flow.workflow} ({self.mark(flow)})"
        facts = {"does": what, **dict(self.plain(entry, "name", "type", "workflow", "payload"))}
        return facts | ({"payload": self.mark(entry.payload)} if entry.payload else {})


def _number(entry: AgentEntry) -> str:
    if entry.min is not None or entry.max is not None:
        low, high = entry.min or 0, entry.max
        return f"{low} to {high}" if high is not None else f"{low} or more"
    return str(entry.count or 1)
