"""Migrates a database: first on a copy, then for real, in one transaction."""

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.database import migrations, sqlite
from swarm_tui.agent.handlers.database.url import Options, Postgres, find_database
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload


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
    """Gives `applied`: each version and its file, and the `version` that the database is at."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises HandlerError: `migration-failed` (with file and line; nothing was changed), `changed`,
        `out-of-order`, `bad-migrations`, `damaged`, `cancelled`; MissingToolError (psql, alembic).
        """
        payload, options = read_payload(context, Payload), read_options(context, Options)
        folder = inside(context.workdir, payload.source or options.source, what="source")
        database = find_database(context, options, payload.target)
        started = time.monotonic()
        if (folder / "alembic.ini").is_file():
            from swarm_tui.agent.handlers.database.with_alembic import migrate_alembic

            if isinstance(database, Postgres):
                raise HandlerError("Alembic is run on SQLite only: a server cannot be copied first", code="bad-payload")
            result = await migrate_alembic(context, folder, database, payload.version, payload.dry_run, payload.create)
        else:
            known = migrations.find(folder)
            up_to = _number(payload.version)
            if isinstance(database, Postgres):
                from swarm_tui.agent.handlers.database.with_postgres import migrate_postgres

                result = await migrate_postgres(context, database, known, up_to, payload.dry_run)
            else:
                result = await asyncio.to_thread(_migrate, context, database, known, up_to, payload)
        context.progress(100, "migrated")
        return {**result, "dry_run": payload.dry_run, "seconds": round(time.monotonic() - started, 3)}


def _number(version: str | None) -> int | None:
    if version is None:
        return None
    if not version.isdecimal():
        raise HandlerError(f"version: {version!r} is no number", code="bad-payload")
    return int(version)


def _migrate(
    context: Context, database: Path, known: list[migrations.Migration], up_to: int | None, payload: Payload
) -> dict[str, Any]:
    stop, task_id = context.cancel.is_set, context.task_id
    require(database, create=payload.create and not payload.dry_run)
    with tempfile.TemporaryDirectory(prefix="swarm-migrate-") as folder:
        trial = Path(folder) / "copy.db"
        sqlite.copy(database, trial, stop, lambda done: context.progress(done * 0.3, "copying"))
        context.progress(35, "migrating the copy")
        applied = migrations.apply(trial, known, up_to, task_id, stop)
        sqlite.prove(trial)
    if applied and not payload.dry_run:
        context.progress(70, "migrating")
        applied = migrations.apply(database, known, up_to, task_id, stop)
    with sqlite.opened(database) as connection:
        versions = migrations.applied_versions(connection)
    return {
        "kind": "sql",
        "applied": [{"version": one.version, "file": one.file} for one in applied],
        "version": max(versions, default=None),
        "pending": len([one for one in known if one.version not in versions]),
    }


def require(database: Path, *, create: bool) -> None:
    """Raises HandlerError (`not-found`) unless the file is there, or may be made."""
    if database.is_file():
        return
    if not create:
        raise HandlerError(f"target: {database} is not there; `create` makes it", code="not-found")
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        database.touch(mode=0o600)
    except OSError as error:
        raise HandlerError(f"target: {database} cannot be made: {error}", code="not-written") from error
