"""The numbers that options take: `nan`, `inf` and what no clock can count are no numbers here."""

import math
from typing import Any

import click

from swarm_tui.config.model import LONGEST

FASTEST = 1_000_000.0


class Whole(click.IntRange):
    """A whole number within limits."""

    name = "whole number"

    def _describe_range(self) -> str:
        return _limits(self.min, self.max)


class Real(click.FloatRange):
    """A number within limits; click's own range lets `nan` through, since it is neither below nor above anything."""

    name = "number"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no number to go by", param, ctx)
        return number

    def _describe_range(self) -> str:
        return _limits(self.min, self.max)


class Span(Real):
    """A span in seconds, to no more than ten years."""

    def _describe_range(self) -> str:
        return f"{'more than 0 s, up' if self.min_open else '0 s'} to {LONGEST / 365 / 86_400:.0f} years"


def _limits(least: float | None, most: float | None) -> str:
    """Return a range as help, and the complaint about a number outside it, name it."""
    return f"{least or 0:,g} or more" if most is None else f"{least or 0:,g} to {most:,.0f}"


#: A span that may be nothing at all, in seconds.
WAIT = Span(min=0, max=LONGEST)
#: A span that takes some time, in seconds.
SPAN = Span(min=0, min_open=True, max=LONGEST)
#: How many times as fast.
SPEED = Real(min=0, max=FASTEST)
