"""Applies numbered SQL to PostgreSQL by psql: once in a transaction that is rolled back, then in one that is kept."""

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.database.migrations import Migration, pending, require_ours
from swarm_tui.agent.handlers.database.postgres_sql import ScriptError, Statement, read, refused
from swarm_tui.agent.handlers.database.psql import psql
from swarm_tui.agent.handlers.database.url import Options, Postgres

__all__ = ["migrate_postgres", "refused"]

#: For each session, and again behind each file: what a migration sets is its own affair. The server looks whether we
#: are still there, where it can, so that no statement outlives a killed agent.
_SETTINGS = """RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL;
SET client_min_messages = warning; SET lock_timeout = {lock};
DO $$ BEGIN PERFORM set_config('client_connection_check_interval', '2000', false);
EXCEPTION WHEN OTHERS THEN NULL; END $$;"""
_INVALID = """DO $$ DECLARE bad text; BEGIN
SELECT string_agg(indexrelid::regclass::text, ', ') INTO bad FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE NOT indisvalid AND relname IN ({names});
IF bad IS NOT NULL THEN RAISE EXCEPTION 'index % is not valid', bad
USING HINT = 'an earlier build of it failed: DROP INDEX CONCURRENTLY it, and migrate again'; END IF; END $$;"""
_COLUMNS = """SELECT attname FROM pg_attribute
WHERE attrelid = to_regclass('"{table}"') AND attnum > 0 AND NOT attisdropped;"""


class _Step(Struct, frozen=True, kw_only=True):
    """Migrations that share a transaction, or one that PostgreSQL wants outside of any (`alone`)."""

    migrations: list[Migration]
    alone: bool


async def migrate_postgres(
    context: Context, database: Postgres, known: list[Migration], up_to: int | None, options: Options, dry_run: bool
) -> dict[str, Any]:
    """Apply what is pending; a transaction rolled back stands for the copy.

    What cannot be in a transaction (CREATE INDEX CONCURRENTLY), and what comes behind it, cannot be tried before:
    `untried` names those files. Raises HandlerError, MissingToolError.
    """
    parts = {one.version: _read(one) for one in known}
    applied = await _applied(context, database, options.table)
    todo = pending(applied, known, up_to)
    steps = _steps(todo, parts)
    untried: list[str] = []
    with tempfile.TemporaryDirectory(prefix="swarm-migrate-") as folder:
        run = _Run(context, database, options, Path(folder), parts)
        run.write(todo)
        if steps and not steps[0].alone:
            context.progress(30, "trying it in a transaction that is rolled back")
            await run.together(steps[0].migrations, "ROLLBACK;")
        untried = [one.file for step in steps[(not steps[0].alone if steps else 0) :] for one in step.migrations]
        for number, step in enumerate([] if dry_run else steps):
            context.progress(65 + 30 * number / len(steps), "migrating")
            kept = [one.file for before in steps[:number] for one in before.migrations]
            try:
                await (run.alone(step.migrations[0]) if step.alone else run.together(step.migrations, "COMMIT;"))
            except HandlerError as error:
                raise _kept(error, kept, step) from error
            applied |= {one.version: one.checksum for one in step.migrations}
    rows = [{"version": one.version, "file": one.file} for one in todo]
    left = len([one for one in known if one.version not in applied])
    result = {"kind": "sql", "applied": rows, "version": max(applied, default=None), "pending": left}
    return {**result, "untried": untried} if untried else result


def _read(migration: Migration) -> list[Statement]:
    """Return its statements. Raises HandlerError (`bad-migrations`)."""
    try:
        found = read(migration.sql)
    except ScriptError as error:
        raise HandlerError(f"{migration.file}:{error}", code="bad-migrations") from None
    mixed = [one for one in found if not one.alone and not one.beside]
    if mixed and (outside := [one for one in found if one.alone]):
        message = (
            f"{migration.file}:{outside[0].line}: PostgreSQL runs this outside of transactions only: give it a file "
            f"of its own, without what stands in line {mixed[0].line}"
        )
        raise HandlerError(message, code="bad-migrations")
    return found


def _steps(todo: Sequence[Migration], parts: dict[int, list[Statement]]) -> list[_Step]:
    steps: list[_Step] = []
    for one in todo:
        alone = any(statement.alone for statement in parts[one.version])
        if steps and not alone and not steps[-1].alone:
            steps[-1].migrations.append(one)
        else:
            steps.append(_Step(migrations=[one], alone=alone))
    return steps


def _kept(error: HandlerError, kept: list[str], step: _Step) -> HandlerError:
    """Return the error with what of the migrations stays, in words and as `kept`."""
    words = [f"{', '.join(kept)} stay applied"] if kept else []
    if step.alone and error.code != "killed":
        words.append(
            f"{step.migrations[0].file} runs outside of a transaction: what it did before that line stays, and an "
            "index that it began may be left invalid"
        )
    if not words:
        return error
    result = {**(error.result or {}), "kept": kept, "begun": [one.file for one in step.migrations if step.alone]}
    return HandlerError(f"{error}; {'; '.join(words)}", code=error.code, retryable=error.retryable, result=result)


async def _applied(context: Context, database: Postgres, table: str) -> dict[int, str]:
    columns = set((await psql(context, database, _COLUMNS.format(table=table))).split())
    require_ours(columns, table)
    if not columns:
        return {}
    rows = await psql(context, database, f'SELECT version, checksum FROM "{table}";')
    return {int(version): checksum for version, _, checksum in (row.partition("|") for row in rows.split())}


class _Run(Struct, frozen=True):
    """Runs migrations from files in `folder` that are named by their version."""

    context: Context
    database: Postgres
    options: Options
    folder: Path
    parts: dict[int, list[Statement]]

    def write(self, migrations: Sequence[Migration]) -> None:
        """Write what was read and judged: a file that changes meanwhile changes nothing."""
        for one in migrations:
            self._file(one).write_text(one.sql, "utf-8")

    def _file(self, one: Migration) -> Path:
        return self.folder / f"{one.version}.sql"

    def _include(self, one: Migration) -> str:
        return "\\i '" + str(self._file(one)).replace("\\", "\\\\").replace("'", "''") + "'"

    async def together(self, migrations: Sequence[Migration], end: str) -> None:
        """Run them in one transaction, which ends by `end`."""
        parts = [self._settings(), "BEGIN;", self._table()]
        for one in migrations:
            parts += [f"\\echo {one.version}", self._include(one), self._settings(), self._mark(one)]
        await self._psql([*parts, end], migrations, lasting=end == "COMMIT;")

    async def alone(self, one: Migration) -> None:
        """Run each of its statements by itself; locks are waited for, as it does no harm to wait."""
        parts = [self._settings(lock=0), self._table(), f"\\echo {one.version}", self._include(one)]
        parts.append(self._settings())
        words = sorted({word for statement in self.parts[one.version] for word in statement.words})
        names = [word for word in words if word not in ("index", "concurrently")]
        names += re.findall(r'"([^"]+)"', one.sql)
        parts += [_INVALID.format(names=", ".join(map(_quoted, names))), self._mark(one)]
        await self._psql(parts, [one], lasting=True)

    async def _psql(self, parts: list[str], migrations: Sequence[Migration], *, lasting: bool) -> None:
        files = {str(self._file(one)): one.file for one in migrations}
        try:
            await psql(self.context, self.database, "\n".join(parts), files=files, lasting=lasting)
        except HandlerError as error:
            raise self._placed(error, migrations) from error

    def _placed(self, error: HandlerError, migrations: Sequence[Migration]) -> HandlerError:
        """Return the error at the line that fails: psql says the one on which the statement ends."""
        known = error.result or {}
        one = next((one for one in migrations if one.file == known.get("file")), None)
        if one is None:
            return error
        last = int(known["line"])
        statement = next((part for part in self.parts[one.version] if part.line <= last <= part.last), None)
        if statement is None:
            return error
        lines = one.sql.split("\n")[statement.line - 1 : last]
        offset = next((n for n, line in enumerate(lines) if known["excerpt"] and known["excerpt"] in line), 0)
        line = statement.line + offset
        result = {"file": one.file, "line": line, "sqlstate": known["sqlstate"]}
        words = str(error).removeprefix(f"{one.file}:{last}")
        shown = {**result, "statement": "\n".join(lines).strip()[:500]}
        return HandlerError(f"{one.file}:{line}{words}", code=error.code, retryable=error.retryable, result=shown)

    def _settings(self, lock: float | None = None) -> str:
        return _SETTINGS.format(lock=round((self.options.lock_timeout if lock is None else lock) * 1000))

    def _table(self) -> str:
        columns = (
            "version bigint PRIMARY KEY, name text, checksum text, applied_at timestamptz DEFAULT now(), task_id text"
        )
        return f'CREATE TABLE IF NOT EXISTS "{self.options.table}" ({columns});'

    def _mark(self, one: Migration) -> str:
        values = ", ".join(_quoted(text) for text in (one.name, one.checksum, self.context.task_id))
        insert = f'INSERT INTO "{self.options.table}" (version, name, checksum, task_id)'
        return f"{insert} VALUES ({one.version}, {values});"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
