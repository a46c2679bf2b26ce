"""Backs a database up while it is in use, and proves the backup by restoring it."""

import asyncio
import itertools
import os
import re
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any, ClassVar

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, Result
from swarm_tui.agent.handlers.database import sqlite
from swarm_tui.agent.handlers.database.psql import passes, run_client
from swarm_tui.agent.handlers.database.url import Options, Postgres, find_database
from swarm_tui.agent.handlers.inputs import inside, read_options, read_payload


class Payload(Struct, kw_only=True):
    """Payload of `database.backup`."""

    target: Annotated[
        str | None, Meta(description="an SQLite file within the workdir, or a database of the layout")
    ] = None
    output: Annotated[str | None, Meta(description="the backup's file within the workdir; dated by default")] = None


class Backup:
    """Backs a database up; the result has the `output`, its size and SHA-256, and what the restored copy holds."""

    Payload: ClassVar[type[Struct]] = Payload
    Options: ClassVar[type[Struct]] = Options

    async def run(self, context: Context) -> Result:
        """Return `{output, size, sha256, verified, seconds, kind, tables, proof}`, `seconds` being how long it took.

        Raises HandlerError (`not-found`, `exists`, `damaged`, `locked`, `not-written`, `pg_dump`); MissingToolError
        (pg_dump).
        """
        payload, options = read_payload(context, Payload), read_options(context, Options)
        database = find_database(context, options, payload.target)
        suffix = ".dump" if isinstance(database, Postgres) else ".db"
        stem = re.sub(r"[^\w.-]+", "-", database.name) if isinstance(database, Postgres) else database.stem
        name = payload.output or f"{options.backups}/{stem}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}{suffix}"
        output = inside(context.workdir, name, what="output", must_exist=False)
        if payload.output and output.exists():
            raise _exists(name)
        started = time.monotonic()
        draft = _draft(output)
        try:
            if isinstance(database, Postgres):
                proof = await _dump(context, database, draft)
            else:
                proof = await asyncio.to_thread(_copy_and_prove, context, database, draft, options.lock_timeout)
            output = _link(draft, output, named=bool(payload.output))
        except FileExistsError as error:
            raise _exists(name) from error
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


def _exists(name: str) -> HandlerError:
    return HandlerError(f"output: {name} is there: a backup overwrites nothing", code="exists")


def _draft(output: Path) -> Path:
    """Make an empty file of its own (0600) beside `output`: another backup may run at the same time."""
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{output.name}.", suffix=".partial", dir=output.parent)
    except OSError as error:
        raise HandlerError(f"output: {output.parent} cannot be written: {error}", code="not-written") from error
    os.close(handle)
    return Path(name)


def _link(draft: Path, output: Path, *, named: bool) -> Path:
    """Give the draft its name; one that we chose gets a number where the second has a backup already."""
    for number in itertools.count(2):
        try:
            os.link(draft, output)
        except FileExistsError:
            if named:
                raise
            output = output.with_name(f"{output.stem.partition('Z')[0]}Z-{number}{output.suffix}")
        else:
            break
    return output


def _copy_and_prove(context: Context, database: Path, draft: Path, wait: float) -> dict[str, Any]:
    if not database.is_file():
        raise HandlerError(f"target: {database} is not there", code="not-found")
    stop = context.cancel.is_set
    sqlite.copy(database, draft, stop, lambda done: context.progress(done * 0.6, "copying"), wait=wait)
    context.progress(65, "restoring the backup")
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=draft.parent) as folder:
        restored = Path(folder) / "restored.db"
        sqlite.copy(draft, restored, stop)
        tables = sqlite.prove(restored, database)
        if sqlite.schema(restored) != sqlite.schema(draft) or tables != sqlite.prove(draft, database):
            raise HandlerError("the restored copy differs from the backup", code="damaged")
    return {"kind": "sqlite", "tables": tables, "proof": "restored; integrity_check ok"}


async def _dump(context: Context, database: Postgres, draft: Path) -> dict[str, Any]:
    """Write pg_dump's archive, and have pg_restore read it back whole."""
    context.progress(10, "pg_dump")
    # Tables that others have locked are waited for no longer than the layout says.
    lock = f"--lock-wait-timeout={round(read_options(context, Options).lock_timeout * 1000)}"
    argv = ["pg_dump", "--format=custom", "--no-password", lock, "--file", str(draft)]
    done = await run_client(context, database, argv)
    if done.returncode != 0:
        words = done.tail or done.how
        message = f"pg_dump of {database.name} ended with {done.returncode}: {words}"
        raise HandlerError(message, code="pg_dump", retryable=done.killed or passes(words))
    context.progress(70, "reading the archive back")
    # Without a database pg_restore turns the whole archive into SQL: a damaged one does not get through.
    read = await run_client(context, database, ["pg_restore", "--file", os.devnull, str(draft)])
    listing = await run_client(context, database, ["pg_restore", "--list", str(draft)])
    if read.returncode != 0 or listing.returncode != 0:
        raise HandlerError(f"pg_restore cannot read the archive: {read.tail or listing.tail}", code="damaged")
    found = [line.split() for line in listing.stdout.splitlines() if " TABLE DATA " in line]
    tables = sorted(f"{words[5]}.{words[6]}" for words in found if len(words) > 6)
    return {"kind": "postgresql", "tables": tables, "proof": "the archive was read back whole by pg_restore"}
