"""Arguments that a task may give to pytest: those that choose and show tests, none that load code or write files."""

import re
from collections.abc import Sequence

from swarm_tui.agent.handlers.base import HandlerError

_FLAGS = frozenset(
    {
        *("-x", "-q", "-v", "-vv", "-l", "--exitfirst", "--quiet", "--verbose", "--showlocals", "--runxfail"),
        *("--lf", "--last-failed", "--ff", "--failed-first", "--nf", "--new-first", "--strict-markers"),
        *("--strict-config", "--stepwise", "--sw", "--no-header", "--no-summary"),
    }
)
#: Options with a value, and what the value must look like.
_VALUED = {
    "-k": re.compile(r"[^\0]{1,1000}"),
    "-m": re.compile(r"[^\0]{1,1000}"),
    "-n": re.compile(r"auto|logical|\d{1,3}"),
    "--maxfail": re.compile(r"\d{1,6}"),
    "--tb": re.compile(r"auto|long|short|line|native|no"),
    "--durations": re.compile(r"\d{1,6}"),
    "--timeout": re.compile(r"\d{1,6}(\.\d{1,3})?"),
    "--deselect": re.compile(r"[^\0-][^\0]{0,1000}"),
}


def allowed(args: Sequence[str]) -> list[str]:
    """The arguments, each in a form that cannot be read as another. Raises HandlerError (`bad-payload`)."""
    out: list[str] = []
    words = iter(args)
    for word in words:
        if word in _FLAGS:
            out.append(word)
            continue
        name, joined, value = word.partition("=") if word.startswith("--") else (word[:2], "", word[2:])
        pattern = _VALUED.get(name)
        if pattern is None:
            raise HandlerError(f"args: {word[:80]!r} is not among those allowed: {_known()}", code="bad-payload")
        if not joined and not value:
            value = next(words, "")
        if pattern.fullmatch(value) is None:
            raise HandlerError(f"args: {value[:80]!r} is no value for {name}", code="bad-payload")
        out.append(f"{name}={value}" if name.startswith("--") else f"{name}{value}")
    return out


def _known() -> str:
    return " ".join(sorted(_FLAGS | _VALUED.keys()))
