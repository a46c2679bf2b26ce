"""Parses files as the programs that read them do: Python, JSON with and without comments, TOML, YAML."""

import ast
import json
import re
import tomllib
import warnings
from collections.abc import Iterable
from fnmatch import fnmatch
from typing import Any, NoReturn

from swarm_tui.agent.handlers.files import decoded, encoding_of

#: JSON files whose own program allows comments and a comma before a closing bracket.
WITH_COMMENTS = (
    *("*.jsonc", "*.code-workspace", "tsconfig*.json", "jsconfig*.json", ".vscode/*.json", "*/.vscode/*.json"),
    *(".devcontainer/*.json", "*/.devcontainer/*.json", "devcontainer.json", ".eslintrc.json", ".babelrc.json"),
    *("babel.config.json", ".swcrc", "api-extractor.json", "deno.json", "wrangler.json", "biome.json", "turbo.json"),
    *("nx.json", "rush.json", "tslint.json", "tsdoc.json", "typedoc.json", ".markdownlint.json", "renovate.json"),
)
_KINDS = {"py": "python", "pyi": "python", "json": "json", "toml": "toml", "yml": "yaml", "yaml": "yaml"}
#: Marks of a template's own language, which `${{ }}` of workflows is not.
_TEMPLATE = re.compile(r"(?<!\$)\{\{|\{%")
_TOKEN = re.compile(r'["/]|[,\]}]|[^\s"/,\]}]+')
_IN_STRING = re.compile(r'[^"\\]*+(?:\\.[^"\\]*+)*+', re.DOTALL)


def kind_of(path: str, with_comments: Iterable[str] = ()) -> str | None:
    """Return what a file's name says it is: python, json, jsonc, toml, yaml; None for what is not parsed here."""
    if matches(path, (*WITH_COMMENTS, *with_comments)):
        return "jsonc"
    name = path.rpartition("/")[2]
    return _KINDS.get(name.rpartition(".")[2]) if "." in name else None


def matches(path: str, patterns: Iterable[str]) -> bool:
    """Return whether a path, or its last part, fits one of the patterns (`*.sh`, `.vscode/*.json`)."""
    name = path.rpartition("/")[2]
    return any(fnmatch(path if "/" in pattern else name, pattern) for pattern in patterns)


def is_template(path: str, data: bytes) -> bool:
    """Return whether a YAML file that does not parse is one of a template's language instead."""
    return kind_of(path) == "yaml" and _TEMPLATE.search(decoded(path, data)) is not None


def syntax_error(path: str, data: bytes, with_comments: Iterable[str] = ()) -> tuple[int, str] | None:
    """Return (line, reason) where the bytes are not what the name says; None when they are, or nobody knows."""
    kind = kind_of(path, with_comments)
    try:
        if kind == "python":
            parse_python(data)
        elif kind in ("json", "jsonc"):
            text = _strict(path, data)
            _read_json(without_comments(text) if kind == "jsonc" else text)
        elif kind == "toml":
            tomllib.loads(data.decode("utf-8").replace("\r\n", "\n"))
        elif kind == "yaml" and (found := _yaml_error(data)) and not is_template(path, data):
            return found
    except UnicodeDecodeError as error:
        byte = data[error.start : error.start + 1]
        return data.count(b"\n", 0, error.start) + 1, f"it is not UTF-8: {byte!r} at byte {error.start}"
    except SyntaxError as error:
        return error.lineno or 1, error.msg
    except json.JSONDecodeError as error:
        return error.lineno, error.msg
    except tomllib.TOMLDecodeError as error:
        where = re.search(r"at line (\d+)", str(error))
        return int(where[1]) if where else data.count(b"\n") + 1, str(error)
    except (ValueError, RecursionError, MemoryError) as error:
        return 1, str(error) or type(error).__name__
    return None


def parse_python(source: bytes | str) -> ast.Module:
    """Return the tree of a Python file, of its bytes as Python decodes them, without warnings.

    Raises SyntaxError, and ValueError for one that nests too deeply.
    """
    if isinstance(source, bytes) and encoding_of("x.py", source) is None:
        raise _undecodable(source)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (RecursionError, MemoryError):
            raise ValueError("it nests too deeply to be read") from None


def _undecodable(data: bytes) -> SyntaxError:
    """Return the error that Python gives for bytes that its declaration, or UTF-8 without one, does not hold."""
    try:
        ast.parse(data)
    except SyntaxError as error:
        declared = re.search(rb"coding[:=]", b"\n".join(data.split(b"\n", 2)[:2])[:400])
        found = error
    else:
        return SyntaxError("it cannot be decoded as its first lines declare", ("", 1, 0, ""))
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as where:
        if not declared:
            line, byte = data.count(b"\n", 0, where.start) + 1, data[where.start]
            said = f"it declares no encoding, and the byte 0x{byte:02x} on line {line} is no UTF-8"
            return SyntaxError(said, ("", line, 0, ""))
    return found


def without_comments(text: str) -> str:
    """Return JSON with its comments and the commas before closing brackets blanked, every line in its place."""
    out: list[str] = []
    at = 0
    comma = -1
    while (match := _TOKEN.search(text, at)) is not None:
        out.append(text[at : match.start()])
        start, first = match.start(), match[0][0]
        end = match.end()
        if first == '"':
            inner = _IN_STRING.match(text, end)
            end = min((inner.end() if inner else end) + 1, len(text))
        elif first == "/" and text[end : end + 1] in ("/", "*"):
            block = text[end] == "*"
            stop = text.find("*/" if block else "\n", end + 1)
            end = len(text) if stop < 0 else stop + 2 if block else stop
            out.append("".join("\n" if c == "\n" else " " for c in text[start:end]))
            at = end
            continue
        if first in "]}" and comma >= 0:
            out[comma] = " "
        comma = len(out) if first == "," else -1
        out.append(text[start:end])
        at = end
    return "".join([*out, text[at:]])


def _strict(path: str, data: bytes) -> str:
    return data.decode(encoding_of(path, data) or "utf-8")


def _read_json(text: str) -> None:
    # Kept as text: a number of many digits is fine JSON, and slow to make an integer of.
    json.loads(text, parse_int=str, parse_float=str, parse_constant=_no_constant)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _yaml_error(data: bytes) -> tuple[int, str] | None:
    import yaml

    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        for _ in yaml.parse(data, Loader=loader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return (mark.line + 1 if mark else 1), error.problem or "no YAML"
    except yaml.YAMLError as error:
        return 1, str(error).split("\n", 1)[0]
    return None
