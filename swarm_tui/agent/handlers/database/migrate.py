"""Migrates a database: first on a copy, then for real, in one transaction."""

import asyncio
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.database import migrations, sqlite
from swarm_tui.agent.handlers.database.url import Options, Postgres, find_database
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload

#: Codes of failures after which something may have been changed.
_UNSURE = frozenset({"killed"})


class Payload(Struct, kw_only=True):
    """Payload of `database.migrate`."""

    target: Annotated[
        str | None, Meta(description="an SQLite file within the workdir, or a database of the layout")
    ] = None
    source: Annotated[str | None, Meta(description="the folder of numbered .sql files, or of alembic.ini")] = None
    version: Annotated[str | None, Meta(description="the last version to apply; all by default")] = None
    create: Annotated[bool, Meta(description="make the SQLite file when it is not there")] = False
    dry_run: Annotated[bool, Meta(description="stop after the copy was migrated")] = False


class Migrate:
    """Migrates a database; the result says what was `applied`, and the `version` that it is at."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Return `{kind, applied: [{version, file}], version, pending, dry_run, seconds}`.

        Raises HandlerError, whose words say when nothing was changed: `migration-failed` (with file and line),
        `changed`, `out-of-order`, `foreign-history`, `bad-migrations`, `locked` (retryable), `damaged`, `cancelled`,
        `killed`; MissingToolError (psql, alembic).
        """
        payload, options = read_payload(context, Payload), read_options(context, Options)
        folder = inside(context.workdir, payload.source or options.source, what="source")
        database = find_database(context, options, payload.target)
        started = time.monotonic()
        try:
            result = await _migrate(context, folder, database, payload, options)
        except (OSError, sqlite3.Error) as error:
            # None of these comes from what lasts: that is one transaction, or a program of its own.
            message = f"{type(error).__name__}: {error}; nothing was changed"
            raise HandlerError(message, code="migration-failed") from error
        except HandlerError as error:
            if error.code not in _UNSURE and "kept" not in (error.result or {}):
                error.args = (f"{error}; nothing was changed",)
            raise
        context.progress(100, "migrated")
        return {**result, "dry_run": payload.dry_run, "seconds": round(time.monotonic() - started, 3)}


async def _migrate(
    context: Context, folder: Path, database: Path | Postgres, payload: Payload, options: Options
) -> dict[str, Any]:
    if (folder / "alembic.ini").is_file():
        from swarm_tui.agent.handlers.database import with_alembic

        if isinstance(database, Postgres):
            return await with_alembic.migrate_alembic_on_server(
                context, folder, database, payload.version, options, payload.dry_run
            )
        return await with_alembic.migrate_alembic(
            context, folder, database, payload.version, payload.dry_run, payload.create
        )
    known = migrations.find(folder)
    up_to = _number(payload.version)
    if isinstance(database, Postgres):
        from swarm_tui.agent.handlers.database.with_postgres import migrate_postgres

        return await migrate_postgres(context, database, known, up_to, options, payload.dry_run)
    return await asyncio.to_thread(_migrate_file, context, database, known, up_to, payload, options)


def _number(version: str | None) -> int | None:
    if version is None:
        return None
    if not version.isascii() or not version.isdecimal() or len(version) > 18:
        raise HandlerError(f"version: {version[:40]!r} is no number of a migration", code="bad-payload")
    return int(version)


def _migrate_file(
    context: Context,
    database: Path,
    known: list[migrations.Migration],
    up_to: int | None,
    payload: Payload,
    options: Options,
) -> dict[str, Any]:
    stop, task_id, wait = context.cancel.is_set, context.task_id, options.lock_timeout
    create = payload.create and not payload.dry_run
    with sqlite.required(database, create=create), tempfile.TemporaryDirectory(prefix="swarm-migrate-") as folder:
        trial = Path(folder) / "copy.db"
        sqlite.copy(database, trial, stop, lambda done: context.progress(done * 0.3, "copying"), wait=wait)
        context.progress(35, "migrating the copy")
        with sqlite.opened(trial, shown=database) as connection:
            versions = set(migrations.applied_versions(connection, options.table))
        applied = migrations.apply(trial, known, up_to, task_id, stop, table=options.table, shown=database)
        sqlite.prove(trial, database)
        if applied and not payload.dry_run:
            context.progress(70, "migrating")
            applied = migrations.apply(database, known, up_to, task_id, stop, table=options.table, wait=wait)
            versions |= {one.version for one in applied}
    return {
        "kind": "sql",
        "applied": [{"version": one.version, "file": one.file} for one in applied],
        "version": max(versions, default=None),
        "pending": len([one for one in known if one.version not in versions]),
    }
