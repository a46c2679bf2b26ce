"""Rules for an AI agent's tools: `Tool(pattern)`, as the layout lists them under `allow`, `deny` and `ask`. Pure."""

import re
import shlex
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Literal

from msgspec import Struct

Decision = Literal["allow", "deny", "ask"]

_RULE = re.compile(r"(?P<tool>[A-Za-z0-9_.*:/-]+)(?:\((?P<pattern>.*)\))?", re.DOTALL)
#: What makes one command line do more than its words say: no pattern that allows part of it speaks for the rest.
#: A backslash before a quote, and `$'…'`, end a quotation elsewhere than it seems.
_TRICKS = re.compile(r"""`|\$\(|[<>]|\\[\n"']|\$["']""")
_BETWEEN = frozenset({";", "&", "&&", "|", "||", "|&", ";;", "\n"})
#: Where a command may begin within a line, quoted or not, and what may stand before its name.
_BEGINS = re.compile(r"""[;&|\n\r`(){}<>"']""")
_BEFORE = re.compile(
    r"(?:(?:[A-Za-z_]\w*=\S*|!|if|then|elif|else|while|until|do|sudo|env|exec|command|builtin|nohup|nice|time|setsid)"
    r"(?:\s+-\S+)*\s+)+"
)


class Use(Struct, frozen=True, kw_only=True):
    """Use of a tool, as rules see it.

    `tool` is our word for what it does (Bash, Edit, Read, Fetch), or the tool's own name where it is none of these;
    `names` are further names of it, `what` the command, the URL, or each of the paths that it touches.
    """

    tool: str
    names: tuple[str, ...] = ()
    what: tuple[str, ...] = ()


class Verdict(Struct, frozen=True, kw_only=True):
    """The outcome of the rules; `rule` is the one that decided, empty where none did."""

    decision: Decision
    rule: str = ""


def check_rule(text: str) -> str | None:
    """Return why `text` is no rule, as a sentence; None when it is one."""
    found = _RULE.fullmatch(text.strip())
    if found is None:
        return f"{text[:80]!r} is no rule: write `Tool` or `Tool(pattern)`, as in `Bash(pytest*)`, `Edit(src/**)`"
    return None


def judge(use: Use, *, allow: Sequence[str], deny: Sequence[str], ask: Sequence[str]) -> Verdict:
    """Return what the rules say of a use: a denial counts first, then what is to be asked, then what is allowed.

    What none of them names is asked. A rule that cannot be read never allows.
    """
    for rules, decision in ((deny, "deny"), (ask, "ask")):
        for rule in rules:
            if _touches(rule, use):
                return Verdict(decision=decision, rule=rule)  # type: ignore[arg-type]
    rule = _covering(allow, use)
    return Verdict(decision="allow", rule=rule) if rule else Verdict(decision="ask")


def always(use: Use) -> str:
    """Return the rule that allows this use again, and nothing that is not as this; empty where none says that."""
    if use.tool in ("Bash", "Edit", "Read", "Fetch"):
        # Without a word of what it works on, or of several things, no rule means this use alone.
        return f"{use.tool}({_literal(use.what[0])})" if len(use.what) == 1 else ""
    return use.tool


def _touches(rule: str, use: Use) -> bool:
    """Return whether any part of the use is what the rule names."""
    found = _RULE.fullmatch(rule.strip())
    if found is None or not _is_tool(found["tool"], use):
        return False
    if found["pattern"] is None:
        return True
    shell = use.tool == "Bash"
    parts = [part for what in use.what for part in ((what, *_beginnings(what)) if shell else (what,))]
    return any(_fits(found["pattern"], part, use.tool) for part in parts)


def _beginnings(line: str) -> list[str]:
    """Return all that may be a command of the line, whatever its quotes and substitutions: rather one too many."""
    bare = re.sub(r"[\\\"']", "", line)
    found = [*(_commands(line) or ())]
    for text in (line, bare):
        for part in _BEGINS.split(text):
            words = " ".join(part.split())
            found += [words, _BEFORE.sub("", f"{words} ", count=1).strip() if _BEFORE.match(f"{words} ") else words]
    return [one for one in dict.fromkeys(found) if one]


def _covering(rules: Iterable[str], use: Use) -> str:
    """Return the rules that together allow every part of the use; empty when one part is left."""
    read = [(rule, found) for rule in rules if (found := _RULE.fullmatch(rule.strip())) is not None]
    mine = [(rule, found["pattern"]) for rule, found in read if _is_tool(found["tool"], use)]
    for rule, pattern in mine:
        if pattern is None or pattern in ("*", "**"):
            return rule
    if not use.what:
        return ""
    used: dict[str, None] = {}
    for what in use.what:
        exact = next((rule for rule, pattern in mine if pattern and _literal(what) == pattern), "")
        named = [exact] if exact else _each(what, mine, use.tool)
        if not named:
            return ""
        used |= dict.fromkeys(named)
    return ", ".join(used)


def _each(what: str, mine: list[tuple[str, str]], tool: str) -> list[str]:
    """Return the rule that allows each part of one command line or path; empty when one part has none."""
    found = []
    for part in (_commands(what) or []) if tool == "Bash" else [what]:
        rule = next((rule for rule, pattern in mine if pattern and _fits(pattern, part, tool)), "")
        if not rule:
            return []
        found.append(rule)
    return found


def _is_tool(name: str, use: Use) -> bool:
    wanted = name.lower()
    given = {use.tool.lower(), *(other.lower() for other in use.names)}
    if wanted.endswith("*"):
        return any(one.startswith(wanted[:-1]) for one in given)
    return wanted in given


def _commands(line: str) -> list[str] | None:
    """Return the commands that a shell would run, each with its words; None where that cannot be told."""
    if _TRICKS.search(line):
        return None
    found: list[str] = []
    for one in line.replace("\r", "\n").split("\n"):
        try:
            lexer = shlex.shlex(one, posix=False, punctuation_chars=True)
            lexer.whitespace_split = True
            lexer.commenters = ""
            words = list(lexer)
        except ValueError:
            return None
        command: list[str] = []
        for word in [*words, ";"]:
            if word in _BETWEEN:
                if command:
                    found.append(" ".join(command))
                command = []
            elif set(word) <= set("();<>|&"):
                return None
            else:
                command.append(word)
    return found


def _fits(pattern: str, text: str, tool: str) -> bool:
    return _compiled(pattern, tool in ("Edit", "Read")).fullmatch(text) is not None


@cache
def _compiled(pattern: str, paths: bool) -> re.Pattern[str]:
    """Return the pattern as an expression: `*` is any text, in a path any but `/`; `**` crosses folders."""
    out, at = "", 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "\\" and at + 1 < len(pattern):
            at += 1
            out += re.escape(pattern[at])
        elif pattern.startswith("**/", at) and paths:
            out, at = out + "(?:.*/)?", at + 2
        elif pattern.startswith("**", at):
            out, at = out + ".*", at + 1
        elif sign == "*":
            out += "[^/]*" if paths else ".*"
        elif sign == "?":
            out += "[^/]" if paths else "."
        else:
            out += re.escape(sign)
        at += 1
    return re.compile(out, re.DOTALL)


def _literal(text: str) -> str:
    """Return the pattern that fits `text` alone."""
    return re.sub(r"([\\*?])", r"\\\1", text)
