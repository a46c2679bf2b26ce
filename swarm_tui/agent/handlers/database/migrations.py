"""Numbered SQL migrations: finds them, and applies them to an SQLite file in one transaction."""

import hashlib
import re
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.database.sqlite import broken_references, opened

_NAME = re.compile(r"V?(\d+)(?:[._-]+(.*?))?(?:\.up)?\.sql", re.IGNORECASE)
_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(version INTEGER PRIMARY KEY, name TEXT, checksum TEXT, applied_at REAL, task_id TEXT)"
)
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
    """The migrations of a folder in order. Raises HandlerError (`bad-migrations`): none, or a number twice."""
    found: dict[int, Migration] = {}
    for path in sorted(folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None or path.name.lower().endswith(".down.sql"):
            continue
        version = int(match[1])
        if version in found:
            message = f"{path.name} and {found[version].file} have the same number"
            raise HandlerError(message, code="bad-migrations")
        found[version] = Migration(version=version, name=match[2] or "", file=path.name, sql=path.read_text("utf-8"))
    if not found:
        raise HandlerError(f"source: {folder} holds no migrations such as 0001_name.sql", code="bad-migrations")
    return [found[version] for version in sorted(found)]


def pending(connection: sqlite3.Connection, known: list[Migration], up_to: int | None) -> list[Migration]:
    """Return files not applied yet. Raises HandlerError (`changed`, `out-of-order`) where the history disagrees."""
    applied = applied_versions(connection)
    last = max(applied, default=-1)
    for migration in known:
        if migration.version in applied and applied[migration.version] != migration.checksum:
            raise HandlerError(f"{migration.file} was changed after it was applied: add a new one", code="changed")
        if migration.version not in applied and migration.version < last:
            message = f"{migration.file} comes before {last}, which is applied: give it a higher number"
            raise HandlerError(message, code="out-of-order")
    wanted = [one for one in known if up_to is None or one.version <= up_to]
    return [one for one in wanted if one.version not in applied]


def applied_versions(connection: sqlite3.Connection) -> dict[int, str]:
    """Each version applied, and the checksum it had."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name='schema_migrations'").fetchone():
        return {}
    return {
        int(version): checksum
        for version, checksum in connection.execute("SELECT version, checksum FROM schema_migrations")
    }


def apply(
    path: Path, known: list[Migration], up_to: int | None, task_id: str, stop: Callable[[], bool]
) -> list[Migration]:
    """Apply what is pending, all of it or nothing, and give it.

    Raises HandlerError: `migration-failed` with file and line, `cancelled`, and those of `pending`.
    """
    with opened(path, write=True) as connection:
        connection.set_progress_handler(lambda: int(stop()), 20_000)
        connection.execute("BEGIN IMMEDIATE")
        try:
            todo = pending(connection, known, up_to)
            before = broken_references(connection)
            for migration in todo:
                _run(connection, migration, stop)
            if (broken := broken_references(connection)) > before:
                message = f"{broken - before} rows would refer to rows that are not there"
                raise HandlerError(message, code="migration-failed")
            if todo:
                connection.execute(_TABLE)
                rows = [(one.version, one.name, one.checksum, time.time(), task_id) for one in todo]
                connection.executemany("INSERT INTO schema_migrations VALUES (?, ?, ?, ?, ?)", rows)
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
        except (sqlite3.Error, sqlite3.Warning) as error:
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


def statements(sql: str) -> Iterator[tuple[int, str]]:
    """(first line, statement) of a script; SQLite itself says where one ends, so triggers and strings are safe."""
    done, text = 0, ""
    for part in re.split(r"(?<=;)", sql):
        text += part
        if sqlite3.complete_statement(text):
            yield _first_line(sql, done, text), text.strip()
            done, text = done + len(text), ""
    if _has_code(text):
        yield _first_line(sql, done, text), text.strip()


def _first_line(sql: str, offset: int, text: str) -> int:
    """The line on which `text`, which stands at `offset`, says its first word that is no comment."""
    bare = re.match(r"(?:\s+|--[^\n]*\n|/\*.*?\*/)*", text, re.DOTALL)
    return sql.count("\n", 0, offset + (bare.end() if bare else 0)) + 1


def _has_code(text: str) -> bool:
    return bool(re.sub(r"--[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL).strip())
