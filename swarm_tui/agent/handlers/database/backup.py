"""Backs a database up while it is in use, and proves the backup by restoring it."""

import asyncio
import os
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.database import sqlite
from swarm_tui.agent.handlers.database.url import Options, Postgres, find_database
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload
from swarm_tui.agent.handlers.process import run_process

INSTALL = "sudo apt-get install -y postgresql-client"


class Payload(Struct, kw_only=True):
    """Payload of `database.backup`."""

    target: Annotated[
        str | None, Meta(description="an SQLite file within the workdir, or a database of the layout")
    ] = None
    output: Annotated[str | None, Meta(description="the backup's file within the workdir; dated by default")] = None


class Backup:
    """Gives the `output`, its size and SHA-256, and the rows of each table that the restored copy holds."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Raises HandlerError (`not-found`, `exists`, `damaged`, `pg_dump`); MissingToolError (pg_dump)."""
        payload, options = read_payload(context, Payload), read_options(context, Options)
        database = find_database(context, options, payload.target)
        suffix = ".dump" if isinstance(database, Postgres) else ".db"
        stem = database.name.replace("/", "-") if isinstance(database, Postgres) else database.stem
        name = payload.output or f"{options.backups}/{stem}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}{suffix}"
        output = inside(context.workdir, name, what="output", must_exist=False)
        if output.exists():
            raise HandlerError(f"output: {name} is there: a backup overwrites nothing", code="exists")
        draft = output.with_name(f".{output.name}.partial")
        _make_room(draft)
        started = time.monotonic()
        try:
            if isinstance(database, Postgres):
                proof = await _dump(context, database, draft)
            else:
                proof = await asyncio.to_thread(_copy_and_prove, context, database, draft)
            os.link(draft, output)
        except OSError as error:
            raise HandlerError(f"output: {output} cannot be written: {error}", code="not-written") from error
        finally:
            draft.unlink(missing_ok=True)
        context.progress(100, "backed up and proved")
        return {
            "output": output.relative_to(context.workdir.resolve()).as_posix(),
            "size": output.stat().st_size,
            "sha256": sqlite.sha256(output),
            "verified": True,
            "seconds": round(time.monotonic() - started, 3),
            **proof,
        }


def _make_room(draft: Path) -> None:
    try:
        draft.parent.mkdir(parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
    except OSError as error:
        raise HandlerError(f"output: {draft.parent} cannot be written: {error}", code="not-written") from error


def _copy_and_prove(context: Context, database: Path, draft: Path) -> dict[str, Any]:
    if not database.is_file():
        raise HandlerError(f"target: {database} is not there", code="not-found")
    sqlite.copy(database, draft, context.cancel.is_set, lambda done: context.progress(done * 0.6, "copying"))
    context.progress(65, "restoring the backup")
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=draft.parent) as folder:
        restored = Path(folder) / "restored.db"
        sqlite.copy(draft, restored, context.cancel.is_set)
        tables = sqlite.prove(restored)
        if sqlite.schema(restored) != sqlite.schema(draft) or tables != sqlite.prove(draft):
            raise HandlerError("the restored copy differs from the backup", code="damaged")
    return {"kind": "sqlite", "tables": tables, "proof": "restored; integrity_check ok"}


async def _dump(context: Context, database: Postgres, draft: Path) -> dict[str, Any]:
    """pg_dump's archive, read back whole by pg_restore."""
    context.progress(10, "pg_dump")
    draft.touch(mode=0o600)
    argv = ["pg_dump", "--format=custom", "--no-password", "--file", str(draft)]
    done = await run_process(context, argv, env=database.env, install=INSTALL)
    if done.returncode != 0:
        raise HandlerError(f"pg_dump ended with {done.returncode}: {done.tail}", code="pg_dump", retryable=True)
    context.progress(70, "reading the archive back")
    # Without a database pg_restore turns the whole archive into SQL: a damaged one does not get through.
    read = await run_process(context, ["pg_restore", "--file", os.devnull, str(draft)], install=INSTALL)
    listing = await run_process(context, ["pg_restore", "--list", str(draft)], install=INSTALL)
    if read.returncode != 0 or listing.returncode != 0:
        raise HandlerError(f"pg_restore cannot read the archive: {read.tail or listing.tail}", code="damaged")
    found = [line.split() for line in listing.stdout.splitlines() if " TABLE DATA " in line]
    tables = sorted(f"{words[5]}.{words[6]}" for words in found if len(words) > 6)
    return {"kind": "postgresql", "tables": tables, "proof": "the archive was read back whole by pg_restore"}
