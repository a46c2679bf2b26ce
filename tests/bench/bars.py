"""A bar: what was measured against its limit, said in a line, and noted for `python -m tests.bench` to gather."""

import os
from pathlib import Path

import msgspec
from msgspec import Struct

#: Where `python -m tests.bench` wants a JSON line for each bar; without it a bar is only printed.
NOTES = "SWARM_BENCH_NOTES"


class Bar(Struct, frozen=True, kw_only=True):
    """`limit` is the most that may be measured, or the least with `at_least`."""

    name: str
    measured: float
    limit: float
    unit: str = "x"
    at_least: bool = False

    @property
    def ok(self) -> bool:
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit

    def line(self) -> str:
        """A row of the table."""
        sign = ">=" if self.at_least else "<="
        limit = f"{sign} {self.limit:,.10g} {self.unit}"
        return f"{self.name:<58} {self.measured:>12,.2f} {self.unit:<7} {limit:>16}  {'ok' if self.ok else 'MISSED'}"


def bar(name: str, measured: float, limit: float, unit: str = "x", *, at_least: bool = False) -> bool:
    """Say it and note it; whether it was met."""
    found = Bar(name=name, measured=measured, limit=limit, unit=unit, at_least=at_least)
    print(found.line(), flush=True)
    if where := os.environ.get(NOTES):
        with Path(where).open("ab") as file:
            file.write(msgspec.json.encode(found) + b"\n")
    return found.ok


def read(where: Path) -> list[Bar]:
    """The bars noted in a file, in order."""
    if not where.exists():
        return []
    return [msgspec.json.decode(line, type=Bar) for line in where.read_bytes().splitlines()]
