"""YAML with its places: plain values, and where each one and each key stands in the file."""

import math
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from swarm_tui.config.errors import ConfigError, Problem, whole_file

#: Keys and indices from the top of the document to a value.
Where = tuple[str | int, ...]

MAX_BYTES = 1 << 20
MAX_NODES = 50_000
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
#: Digits beyond which Python reads no number, with leading zeros to spare.
_LONGEST_INT = 1_000
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
#: `${VAR}` and `${VAR:-default}` in a value.
_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(:-((?:[^{}])*))?\}|\$\{")
_WORDS: dict[str, Any] = {
    "": None,
    "~": None,
    **dict.fromkeys(("null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Document(Struct):
    """A read file: `value` in plain Python, `texts` the written text of each scalar, `places` line and column."""

    file: str
    value: Any
    places: dict[Where, tuple[int, int]]
    texts: dict[Where, str]
    problems: list[Problem]
    filled: set[Where] = set()
    """Where a variable was filled in."""

    def problem(self, where: Where, reason: str) -> None:
        """Note a mistake at `where`, or at the nearest place above it that the file has."""
        while where and where not in self.places:
            where = where[:-1]
        line, column = self.places.get(where, (1, 1))
        self.problems.append(Problem(self.file, line, column, reason))


def read_document(path: Path, environ: Mapping[str, str], *, show: str | None = None) -> Document:
    """Read a YAML file; `show` is the name that mistakes are given under. Raises ConfigError when it is no YAML."""
    name = show or str(path)
    try:
        with open(path, "rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise whole_file(name, f"cannot be read: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise whole_file(name, f"more than {MAX_BYTES:,} bytes; a configuration has no more")
    return parse_document(raw, name, environ)


def parse_document(raw: bytes, name: str, environ: Mapping[str, str] | None) -> Document:
    """Read YAML text: YAML 1.2's core words (`on` is text, `12:30:00` is text), duplicate keys are mistakes.

    `environ` fills in `${VAR}`; None leaves such text as it is.
    """
    try:
        root = yaml.compose(raw.decode("utf-8-sig"), Loader=yaml.SafeLoader)
    except UnicodeDecodeError as error:
        raise _at(name, raw, error.start, f"is not UTF-8 (byte {error.start})") from None
    except yaml.reader.ReaderError as error:
        at = len(raw.decode("utf-8-sig")[: error.position].encode())
        code = ord(error.character) if isinstance(error.character, str) else error.character
        raise _at(name, raw, at, f"not YAML: the character U+{code:04X} may not stand here") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise ConfigError([Problem(name, line, column, _syntax(error, raw))]) from None
    except RecursionError:
        raise ConfigError([Problem(name, 1, 1, "nests too deep")]) from None
    except yaml.YAMLError as error:
        raise whole_file(name, f"is not YAML: {' '.join(str(error).split())[:200]}") from None
    document = Document(name, None, {(): (1, 1)}, {}, [])
    if root is not None:
        document.value = _Builder(document, environ).build(root, ())
    return document


def _at(name: str, raw: bytes, byte: int, reason: str) -> ConfigError:
    before = raw[:byte].decode("utf-8", "replace").removeprefix("\ufeff")
    return ConfigError([Problem(name, before.count("\n") + 1, len(before) - before.rfind("\n"), reason)])


def _syntax(error: yaml.MarkedYAMLError, raw: bytes) -> str:
    reason = " ".join(part for part in (error.context, error.problem) if part)
    mark = error.problem_mark
    lines = raw.decode("utf-8-sig").splitlines()
    if mark is not None and mark.line < len(lines) and re.search(r"[{\[].*\$\{", lines[mark.line]):
        reason += "; put quotes around ${…} inside { } or [ ]"
    elif "\\t" in reason:
        reason += "; indent with spaces"
    return f"not YAML: {reason}"


class _Builder:
    """Nodes to plain values, with places and texts on the way."""

    def __init__(self, document: Document, environ: Mapping[str, str] | None) -> None:
        self._document = document
        self._environ = environ
        self._open: set[int] = set()
        self._left = MAX_NODES

    def build(self, node: yaml.Node, where: Where) -> Any:
        self._left -= 1
        if self._left < 0:
            raise whole_file(self._document.file, f"holds over {MAX_NODES:,} values, aliases counted")
        self._document.places.setdefault(where, (node.start_mark.line + 1, node.start_mark.column + 1))
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, where)
        if id(node) in self._open:
            self._document.problem(where, "this alias holds itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.SequenceNode):
                return [self.build(item, (*where, index)) for index, item in enumerate(node.value)]
            return self._mapping(node, where)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: yaml.Node, where: Where) -> dict[str, Any]:
        built: dict[str, Any] = {}
        for key_node, value_node in node.value:
            mark = key_node.start_mark
            if not isinstance(key_node, yaml.ScalarNode):
                self._document.problems.append(
                    Problem(self._document.file, mark.line + 1, mark.column + 1, "a key must be plain text")
                )
                continue
            key = key_node.value
            if key in built:
                self._document.problems.append(
                    Problem(self._document.file, mark.line + 1, mark.column + 1, f"the key `{key}` is there twice")
                )
                continue
            self._document.places[(*where, key)] = (mark.line + 1, mark.column + 1)
            built[key] = self.build(value_node, (*where, key))
        return built

    def _scalar(self, node: yaml.ScalarNode, where: Where) -> Any:
        mark = node.start_mark
        text = node.value
        if self._environ is not None:
            text = _expand(
                text,
                self._environ,
                lambda reason: self._document.problems.append(
                    Problem(self._document.file, mark.line + 1, mark.column + 1, reason)
                ),
            )
        self._document.texts[where] = text
        if "${" in node.value:
            self._document.filled.add(where)
        return _word(text) if node.style is None else text


def _expand(text: str, environ: Mapping[str, str], mistake: Callable[[str], None]) -> str:
    """Return `text` with its variables filled in.

    `$VAR` without braces stays as it is, `$${` is a literal `${`; an empty variable takes the default, as in a shell.
    `mistake` is told of a variable that is not set and has no default, and of a `${` that is no reference.
    """

    def fill(match: re.Match[str]) -> str:
        if match.group() == "$${":
            return "${"
        name, default = match.group(1), match.group(3)
        if name is None:
            mistake("`${` without a variable's name and `}`; write `$${` for a literal `${`")
            return ""
        value = environ.get(name)
        if match.group(2) is not None:
            return value or default
        if value is None:
            mistake(f"${{{name}}} is not set; export {name}, or write ${{{name}:-default}}")
            return ""
        return value

    return _REFERENCE.sub(fill, text) if "${" in text else text


def _word(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        number = _integer(text)
        # One that no message can hold may still be meant as text: a commit, an account.
        return text if number is None else number
    if _FLOAT.fullmatch(text) and math.isfinite(real := float(text)):
        return real
    return text


def _integer(text: str) -> int | None:
    """The number, or None when it needs more than 64 bits."""
    if len(text) > _LONGEST_INT:
        return None
    number = int(text, 0) if text[:2] in ("0o", "0x") else int(text)
    return number if -(2**63) <= number < 2**64 else None


def is_too_large(text: str) -> bool:
    """Return whether `text` is written as a number, and as one that is too large to be any."""
    if _INT.fullmatch(text):
        return _integer(text) is None
    return _FLOAT.fullmatch(text) is not None and not math.isfinite(float(text))


def near(word: str, known: list[str]) -> str:
    """`; did you mean …?` when something known is close, else those known, else nothing."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known: {', '.join(known)}" if known and len(known) <= 16 else ""
