"""Lists a project's files, as git knows them or as a walk finds them, and reads their bytes as text."""

import codecs
import io
import os
import tokenize
from collections.abc import Iterator
from pathlib import Path

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.git import try_git
from swarm_tui.agent.handlers.inputs import inside

#: Folders that hold no work of the project's own.
FOREIGN = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", "venv", "node_modules", "__pycache__", ".tox", ".nox", ".mypy_cache"),
        *(".ruff_cache", ".pytest_cache", ".eggs", "build", "dist", "site-packages"),
    }
)
MAX_FILES = 50_000
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


async def project_files(context: Context, folder: Path, source: str | None = None) -> list[str]:
    """Return the paths of regular files relative to `folder`, sorted; never through a symlink.

    With `source`, a folder or file of it, only those. Raises HandlerError (`outside`, `not-found`, `too-large` beyond
    MAX_FILES: what was not looked at must not pass).
    """
    part = inside(folder, source, what="source").relative_to(folder.resolve()).as_posix() if source else "."
    if not folder.is_dir():
        raise HandlerError(f"repo: {folder} is not a folder", code="not-found")
    argv = ("ls-files", "-z", "--cached", "--others", "--exclude-standard")
    done = await try_git(context, folder, *argv, errors="surrogateescape")
    if done.truncated:
        raise HandlerError(f"{folder} holds too many files to list: name a part of it", code="too-large")
    names = done.stdout.split("\0") if done.returncode == 0 else list(_walk(folder))
    if part != ".":
        names = [name for name in names if name == part or name.startswith(f"{part}/")]
    found = sorted({name for name in names if name and is_plain(folder / name)})
    if len(found) > MAX_FILES:
        raise HandlerError(f"{folder} holds {len(found)} files, over {MAX_FILES}: name a part of it", code="too-large")
    return found


def is_plain(path: Path) -> bool:
    """Return whether it is a regular file, and no link."""
    return path.is_file() and not path.is_symlink()


def _walk(folder: Path) -> Iterator[str]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in FOREIGN and not name.endswith(".egg-info"))
        for name in files:
            yield os.path.relpath(os.path.join(root, name), folder)


def is_test(path: str) -> bool:
    """Return whether a path is one of tests, by the usual names."""
    parts = path.split("/")
    return (
        parts[-1].startswith(("test_", "conftest"))
        or parts[-1].endswith("_test.py")
        or bool({"tests", "test"} & {*parts[:-1]})
    )


def readable(name: str) -> str:
    """Return a file's name as text that any reader takes: each byte that is no UTF-8 as `\\xe9`."""
    try:
        return os.fsencode(name).decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return name.encode("utf-8", "backslashreplace").decode()


def encoding_of(path: str, data: bytes) -> str | None:
    """Return the encoding of a file's bytes, by its mark or Python's rules; None for what is in no encoding known.

    A Python file that declares nothing and is no UTF-8 has none, as for Python itself.
    """
    name = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        if path.endswith((".py", ".pyi")):
            name = tokenize.detect_encoding(io.BytesIO(data).readline)[0]
        data.decode(name)
    except (SyntaxError, ValueError, LookupError):
        return None
    return name


def decoded(path: str, data: bytes) -> str:
    """Return a file's text, with single newlines; what has no known encoding is read as Windows writes it."""
    text = data.decode(encoding_of(path, data) or "cp1252", "replace")
    return text.replace("\r\n", "\n")


def write_whole(target: Path, text: str, *, what: str) -> None:
    """Replace a file as a whole, so that a reader never sees half of it.

    Raises HandlerError (`not-written`) that names it as `what`.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.new")
        # Made anew: a link of that name in the project would lead the writing elsewhere.
        draft.unlink(missing_ok=True)
        handle = os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            file.write(text)
        draft.replace(target)
    except OSError as error:
        raise HandlerError(f"{what}: {target} cannot be written: {error}", code="not-written") from error
