"""Reads Python source into an outline: public names, their signatures and what their docstrings say first."""

import ast
import inspect

from msgspec import Struct, field

from swarm_tui.agent.handlers.findings import Finding, Severity
from swarm_tui.agent.handlers.review.syntax import parse_python

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Entry(Struct):
    """A public name. `depth` is 0 at the top of a module, 1 within a class."""

    kind: str
    signature: str
    line: int
    doc: str
    depth: int = 0


class Module(Struct):
    """A file. `total` counts what should have a docstring: the module, its public classes and functions."""

    path: str
    doc: str = ""
    entries: list[Entry] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    total: int = 0


def read_module(path: str, data: bytes) -> Module:
    """The outline of one file; a syntax error is a finding, and then nothing of the file counts."""
    module = Module(path)
    try:
        tree = parse_python(data)
    except SyntaxError as error:
        module.findings.append(_finding(path, error.lineno or 1, "error", "syntax", f"syntax error: {error.msg}"))
        return module
    except ValueError as error:
        module.findings.append(_finding(path, 1, "error", "syntax", f"cannot be read: {error}"))
        return module
    if not tree.body:
        return module
    module.doc = ast.get_docstring(tree) or ""
    _count(module, "module", path, 1, module.doc)
    _walk(module, tree.body, "", 0)
    return module


def _walk(module: Module, body: list[ast.stmt], prefix: str, depth: int) -> None:
    for node in body:
        if not isinstance(node, Definition) or node.name.startswith("_") or _is_overload(node):
            continue
        name = f"{prefix}{node.name}"
        doc = ast.get_docstring(node) or ""
        kind = "class" if isinstance(node, ast.ClassDef) else "function"
        module.entries.append(Entry(kind, _signature(node, name), node.lineno, doc, depth))
        _count(module, kind, name, node.lineno, doc)
        if isinstance(node, ast.ClassDef):
            _walk(module, node.body, f"{name}.", depth + 1)


def _count(module: Module, kind: str, name: str, line: int, doc: str) -> None:
    module.total += 1
    if not doc.strip():
        text = "the module has no docstring" if kind == "module" else f"{kind} {name} has no docstring"
        module.findings.append(_finding(module.path, line, "warning", "undocumented", text))


def _is_overload(node: Definition) -> bool:
    """An overload, or a property's setter, is documented where its first form is."""
    names = [_source(decorator).rpartition(".")[2] for decorator in node.decorator_list]
    return bool({"overload", "setter", "deleter"} & {*names})


def _signature(node: Definition, name: str) -> str:
    if isinstance(node, ast.ClassDef):
        bases = ", ".join(_source(base) for base in node.bases)
        return f"class {name}({bases})" if bases else f"class {name}"
    word = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
    returns = f" -> {_source(node.returns)}" if node.returns else ""
    return f"{word} {name}({_source(node.args)}){returns}"


def _source(node: ast.AST) -> str:
    try:
        return ast.unparse(node)
    except RecursionError:
        return "…"


def outline(title: str, modules: list[Module]) -> str:
    """The page: one section a module, one entry a public name, with the first paragraph of its docstring."""
    parts = [f"# {title}"]
    for module in modules:
        if not module.total:
            continue
        parts.append(f"## `{module.path}`")
        parts += [_first(module.doc)] if module.doc else []
        for entry in module.entries:
            parts.append(f"{'###' if entry.depth == 0 else '####'} `{entry.signature}`")
            parts.append(_first(entry.doc) if entry.doc else "*Undocumented.*")
    return "\n\n".join(parts) + "\n"


def _first(doc: str) -> str:
    """A docstring's first paragraph, its marks kept from being read as Markdown's structure."""
    text = " ".join(inspect.cleandoc(doc).split("\n\n")[0].split())
    return text.replace("[", "\\[").replace("<", "\\<")


def _finding(file: str, line: int, severity: Severity, code: str, message: str) -> Finding:
    return Finding(file=file, line=line, severity=severity, code=code, message=message, tool="docs")
