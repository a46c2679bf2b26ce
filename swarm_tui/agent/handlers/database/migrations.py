"""Finds numbered SQL migrations, tells which are pending, and applies them to an SQLite file in one transaction."""

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.database.sqlite import BUSY, broken_references, opened

TABLE = "schema_migrations"
#: The columns by which a table is ours; other tools keep one of the same name.
COLUMNS = frozenset({"version", "name", "checksum", "applied_at", "task_id"})
_NAME = re.compile(r"V?(\d+)(?:[._-]+(.*?))?(?:\.up)?\.sql", re.IGNORECASE)
#: What would end our transaction, or reach another file.
_REFUSED = {sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH, sqlite3.SQLITE_TRANSACTION, sqlite3.SQLITE_SAVEPOINT}


class Migration(Struct, frozen=True, kw_only=True):
    """A file of a migrations folder."""

    version: int
    name: str
    file: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def find(folder: Path) -> list[Migration]:
    """Return the migrations of a folder in order.

    Raises HandlerError (`bad-migrations`): none, a number twice, or a file that is no UTF-8 text.
    """
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None or path.name.lower().endswith(".down.sql"):
            continue
        version, file = int(match[1]), _shown(path.name)
        if version in found:
            message = f"{file} and {found[version].file} have the same number"
            raise HandlerError(message, code="bad-migrations")
        if version >= 2**63:
            raise HandlerError(f"{file}: the number is over 2⁶³, which no database holds", code="bad-migrations")
        found[version] = Migration(version=version, name=_shown(match[2] or ""), file=file, sql=_text(path, file))
    if not found:
        raise HandlerError(f"source: {folder} holds no migrations such as 0001_name.sql", code="bad-migrations")
    return [found[version] for version in sorted(found)]


def _shown(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _text(path: Path, file: str) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise HandlerError(f"{file} cannot be read: {error.strerror}", code="bad-migrations") from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        message = f"{file}:{line}: byte 0x{data[error.start]:02x} is no UTF-8: save the file as UTF-8"
        raise HandlerError(message, code="bad-migrations", result={"file": file, "line": line}) from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise HandlerError(
            f"{file}:{line}: a NUL is no SQL", code="bad-migrations", result={"file": file, "line": line}
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


def pending(applied: Mapping[int, str], known: list[Migration], up_to: int | None) -> list[Migration]:
    """Return those not applied yet; `applied` gives each version's checksum.

    Raises HandlerError (`changed`, `out-of-order`) where history and files disagree.
    """
    last = max(applied, default=-1)
    for migration in known:
        if migration.version in applied and applied[migration.version] != migration.checksum:
            raise HandlerError(f"{migration.file} was changed after it was applied: add a new one", code="changed")
        if migration.version not in applied and migration.version < last:
            message = f"{migration.file} comes before {last}, which is applied: give it a higher number"
            raise HandlerError(message, code="out-of-order")
    return [one for one in known if one.version not in applied and (up_to is None or one.version <= up_to)]


def require_ours(columns: set[str], table: str) -> None:
    """Raise HandlerError (`foreign-history`) unless a table with these columns is one that we made."""
    if columns and not columns >= COLUMNS:
        message = (
            f"the table {table} is another tool's (its columns: {', '.join(sorted(columns)[:10])}): migrate with that "
            "tool, or name another table in the layout's options (`table`)"
        )
        raise HandlerError(message, code="foreign-history")


def applied_versions(connection: sqlite3.Connection, table: str = TABLE) -> dict[int, str]:
    """Return each version applied, and the checksum it had. Raises HandlerError (`foreign-history`)."""
    columns = {str(row[1]) for row in connection.execute(f'PRAGMA table_info("{table}")')}
    require_ours(columns, table)
    if not columns:
        return {}
    rows = connection.execute(f'SELECT version, checksum FROM "{table}"')
    return {int(version): str(checksum) for version, checksum in rows}


def apply(
    path: Path,
    known: list[Migration],
    up_to: int | None,
    task_id: str,
    stop: Callable[[], bool],
    *,
    table: str = TABLE,
    shown: Path | None = None,
    wait: float = BUSY,
) -> list[Migration]:
    """Apply what is pending, all of it or nothing, and return it.

    Errors name `shown`, the file that `path` is a copy of. Raises HandlerError: `migration-failed` with file and line,
    `cancelled`, `locked` after `wait` s, and those of `pending`.
    """
    with opened(path, write=True, shown=shown, wait=wait) as connection:
        connection.set_progress_handler(lambda: int(stop()), 20_000)
        connection.execute("BEGIN IMMEDIATE")
        try:
            todo = pending(applied_versions(connection, table), known, up_to)
            before = broken_references(connection)
            for migration in todo:
                _run(connection, migration, stop)
            if (broken := broken_references(connection)) > before:
                message = f"{broken - before} rows would refer to rows that are not there"
                raise HandlerError(message, code="migration-failed")
            if todo:
                connection.execute(
                    f'CREATE TABLE IF NOT EXISTS "{table}" '
                    "(version INTEGER PRIMARY KEY, name TEXT, checksum TEXT, applied_at REAL, task_id TEXT)"
                )
                rows = [(one.version, one.name, one.checksum, time.time(), task_id) for one in todo]
                insert = f'INSERT INTO "{table}" (version, name, checksum, applied_at, task_id) VALUES (?, ?, ?, ?, ?)'
                connection.executemany(insert, rows)
            connection.execute("COMMIT")
        except BaseException:
            connection.set_progress_handler(None, 0)
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return todo


def _run(connection: sqlite3.Connection, migration: Migration, stop: Callable[[], bool]) -> None:
    for line, statement in statements(migration.sql):
        connection.set_authorizer(_authorize)
        try:
            connection.execute(statement).fetchall()
        except (sqlite3.Error, sqlite3.Warning, ValueError, OverflowError) as error:
            if stop():
                raise HandlerError(f"cancelled in {migration.file}", code="cancelled") from error
            why = "it may not BEGIN, COMMIT or ATTACH" if "not authorized" in str(error) else str(error)
            place = {"file": migration.file, "line": line, "statement": statement[:500]}
            message = f"{migration.file}:{line}: {why}"
            raise HandlerError(message, code="migration-failed", result=place) from error
        finally:
            connection.set_authorizer(None)


def _authorize(action: int, *_: str | None) -> int:
    return sqlite3.SQLITE_DENY if action in _REFUSED else sqlite3.SQLITE_OK


#: The parts of SQL that matter to where a statement ends; quotes and comments that are not closed reach to the end.
_PART = re.compile(
    r"(?P<space>[ \t\n\r\f]+|--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<end>;)"
    r"|(?P<quoted>'[^']*(?:'|\Z)|\"[^\"]*(?:\"|\Z)|`[^`]*(?:`|\Z)|\[[^\]]*(?:\]|\Z))"
    r"|(?P<word>[A-Za-z0-9_$\x80-\U0010ffff]+)"
    r"|(?P<other>.)",
    re.DOTALL,
)
#: SQLite's own rules of where a statement ends (`sqlite3_complete`): from a state, by a token, to the next state.
#: A trigger's body holds semicolons, and ends with `; END ;`.
_START, _NORMAL, _EXPLAIN, _CREATE, _TRIGGER, _SEMI, _END = range(7)
_NEXT: dict[int, dict[str, int]] = {
    _START: {"explain": _EXPLAIN, "create": _CREATE},
    _NORMAL: {},
    _EXPLAIN: {"create": _CREATE, **dict.fromkeys(("explain", "temp", "temporary", "trigger", "end"), _NORMAL)},
    _CREATE: {"temp": _CREATE, "temporary": _CREATE, "trigger": _TRIGGER},
    _TRIGGER: {";": _SEMI},
    _SEMI: {";": _SEMI, "end": _END},
    _END: {},
}
_ELSE = {_EXPLAIN: _EXPLAIN, _TRIGGER: _TRIGGER, _SEMI: _TRIGGER, _END: _TRIGGER}


def statements(sql: str) -> Iterator[tuple[int, str]]:
    """Yield (line of its first code, statement) of a script, by SQLite's own rules, in one pass.

    Triggers and strings with semicolons in them stay whole.
    """
    state, begin, counted, line, first = _START, 0, 0, 1, 0
    for part in _PART.finditer(sql):
        kind = part.lastgroup or "other"
        if kind == "space":
            continue
        if not first and kind != "end":
            line += sql.count("\n", counted, part.start())
            counted, first = part.start(), line
        if kind == "end" and state not in (_TRIGGER, _SEMI):
            if first:
                yield first, sql[begin : part.end()].strip()
            state, begin, first = _START, part.end(), 0
        else:
            state = _NEXT[state].get(part[0].lower() if kind in ("word", "end") else "", _ELSE.get(state, _NORMAL))
    if first:
        yield first, sql[begin:].strip()
