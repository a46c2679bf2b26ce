"""Runs a project's Alembic: on a copy of an SQLite file first, on PostgreSQL in a transaction that is taken back."""

import asyncio
import contextlib
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError
from swarm_tui.agent.handlers.database import sqlite
from swarm_tui.agent.handlers.database.psql import client_env, end_on_server, passes, psql
from swarm_tui.agent.handlers.database.url import Options, Postgres
from swarm_tui.agent.handlers.process import Completed, run_process

INSTALL = "python -m pip install 'swarm-tui[tools]'"
#: Run by the interpreter that has the project's models, in the folder of its alembic.ini. It prints a line each for
#: the version before and after. `watch` is what may stand between Alembic and its database.
_SCRIPT = """
import contextlib, io, os, sys, traceback
from alembic import command
from alembic.config import Config
# Only now: projects keep their migrations in a folder that is called alembic too.
sys.path.insert(0, "")
ini, revision, trial = sys.argv[1], sys.argv[2], sys.argv[3] == "trial"
class Tried(BaseException):
    armed = False
{watch}
def version():
    said = io.StringIO()
    config = Config(ini, stdout=said)
    config.set_main_option("sqlalchemy.url", os.environ["DATABASE_URL"].replace("%", "%%"))
    command.current(config)
    print("version:", ",".join(sorted(line.split()[0] for line in said.getvalue().splitlines() if line.strip())))
    return config
try:
    config = version()
    if revision:
        Tried.armed = trial
        with contextlib.suppress(Tried):
            command.upgrade(config, revision)
        Tried.armed = False
        version()
except Exception as error:
    own = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(os.getcwd() + os.sep)]
    where = f"{{os.path.relpath(own[-1].filename)}}:{{own[-1].lineno}}: " if own else ""
    sys.exit(f"alembic: {{where}}{{getattr(error, 'orig', None) or str(error) or type(error).__name__}}")
"""
# A server cannot be copied: the trial ends where it would commit, so that the server takes all of it back.
_WATCH = """
from sqlalchemy import event
from sqlalchemy.engine import Engine
@event.listens_for(Engine, "connect")
def connected(connection, record):
    wrong = "alembic: env.py opens another database than the target: "
    cursor = connection.cursor()
    try:
        cursor.execute("SELECT current_database() || ' ' || extract(epoch FROM pg_postmaster_start_time())::text")
        found = cursor.fetchone()[0]
        cursor.execute("SELECT set_config(name, '2000', false) FROM pg_settings"
                       " WHERE name = 'client_connection_check_interval'")
        cursor.execute("SELECT set_config('lock_timeout', '" + os.environ["SWARM_LOCK_TIMEOUT"] + "', false)")
    except Exception as error:
        sys.exit(wrong + str(error))
    cursor.close()
    connection.commit()
    if found != os.environ["SWARM_DATABASE_IDENTITY"]:
        sys.exit(wrong + found.split()[0])
@event.listens_for(Engine, "commit")
def committing(connection):
    if Tried.armed:
        raise Tried
@event.listens_for(Engine, "before_cursor_execute")
def executing(connection, cursor, statement, parameters, context, many):
    if Tried.armed and getattr(connection.connection.dbapi_connection, "autocommit", False):
        raise Tried
"""
_IDENTITY = "SELECT current_database() || ' ' || extract(epoch FROM pg_postmaster_start_time())::text;"
_NO_MODULE = re.compile(r"No module named '(alembic|sqlalchemy|psycopg2?|asyncpg|pg8000)'")


async def migrate_alembic(
    context: Context, folder: Path, database: Path, revision: str | None, dry_run: bool, create: bool
) -> dict[str, Any]:
    """Upgrade an SQLite file to `revision` (head by default). Raises HandlerError (`migration-failed`)."""
    with (
        sqlite.required(database, create=create and not dry_run),
        tempfile.TemporaryDirectory(prefix="swarm-migrate-") as scratch,
    ):
        probe, trial = Path(scratch) / "probe.db", Path(scratch) / "copy.db"
        await _on_file(context, folder, probe, "", database)
        # Only an env.py that takes its URL from the configuration can be kept away from the real file.
        if not probe.exists():
            message = "env.py uses neither sqlalchemy.url nor DATABASE_URL: it cannot be tried on a copy"
            raise HandlerError(message, code="bad-migrations")
        await asyncio.to_thread(sqlite.copy, database, trial, context.cancel.is_set)
        context.progress(35, "migrating the copy")
        before, after = await _on_file(context, folder, trial, revision or "head", database)
        await asyncio.to_thread(sqlite.prove, trial, database)
        if after != before and not dry_run:
            context.progress(70, "migrating")
            try:
                _, after = await _on_file(context, folder, database, revision or "head", database, lasting=True)
            except HandlerError as error:
                now = await _ask(error, context, lambda: _on_file(context, folder, database, "", database))
                raise _unsure(error, before, now) from error
    return _result(folder, before, after)


async def migrate_alembic_on_server(
    context: Context, folder: Path, database: Postgres, revision: str | None, options: Options, dry_run: bool
) -> dict[str, Any]:
    """Upgrade a PostgreSQL database to `revision` (head by default).

    The trial ends at the first commit: what comes behind it (CREATE INDEX CONCURRENTLY, a transaction for each
    migration) runs for the first time when it counts. Raises HandlerError, MissingToolError.
    """
    identity = (await psql(context, database, _IDENTITY)).strip()
    server = _Server(context, folder, database, options.lock_timeout, identity)
    context.progress(30, "trying it in a transaction that is rolled back")
    before, after = await server.run(revision or "head", trial=True)
    if after != before:
        raise HandlerError(f"the trial was kept: the database is at {after}", code="killed")
    if not dry_run:
        context.progress(65, "migrating")
        try:
            _, after = await server.run(revision or "head", trial=False)
        except HandlerError as error:
            now = await _ask(error, context, lambda: server.run("", trial=True))
            raise (error if now == before else _unsure(error, before, now)) from error
    return _result(folder, before, after)


_UNKNOWN = "not known"


async def _ask(
    error: HandlerError, context: Context, versions: Callable[[], Awaitable[tuple[str | None, str | None]]]
) -> str | None:
    """Return the version that a database is at after a failure, or that it is not known."""
    if error.code != "killed" and not context.cancel.is_set():
        with contextlib.suppress(HandlerError):
            return (await versions())[0]
    return _UNKNOWN


def _unsure(error: HandlerError, before: str | None, now: str | None) -> HandlerError:
    """Return the error of a run that counted, after which a part of it may stay."""
    words = f"{error}; it failed on the database itself: its version was {before or 'none'}, and is {now or 'none'}"
    return HandlerError(words, code=error.code, retryable=error.retryable, result={"kept": [], "version": now})


def _result(folder: Path, before: str | None, after: str | None) -> dict[str, Any]:
    applied = [{"version": after, "file": folder.name}] if after != before else []
    return {"kind": "alembic", "applied": applied, "version": after, "previous_version": before}


async def _on_file(
    context: Context, folder: Path, file: Path, revision: str, shown: Path, *, lasting: bool = False
) -> tuple[str | None, str | None]:
    """Run Alembic on an SQLite file, and return the versions before and after; errors name `shown`.

    Raises HandlerError: `killed` where it was, and may have changed the database before (`lasting`).
    """
    env = {"DATABASE_URL": f"sqlite:///{file.resolve()}"}
    done = await run_process(context, _argv(folder, "", revision, trial=False), cwd=folder, env=env)
    return _judged(done, str(file.resolve()), str(shown), lasting=lasting)


class _Server(Struct, frozen=True):
    """Runs Alembic on a PostgreSQL server that `identity` names; the password is in no command line."""

    context: Context
    folder: Path
    database: Postgres
    lock_timeout: float
    identity: str

    async def run(self, revision: str, *, trial: bool) -> tuple[str | None, str | None]:
        """Upgrade to `revision`, or nothing when empty, and return the versions before and after."""
        env = {
            **client_env(self.context, self.database),
            "DATABASE_URL": _sqlalchemy_url(self.database),
            "SWARM_DATABASE_IDENTITY": self.identity,
            "SWARM_LOCK_TIMEOUT": str(round(self.lock_timeout * 1000)),
        }
        argv = _argv(self.folder, _WATCH, revision, trial=trial)
        try:
            done = await run_process(self.context, argv, cwd=self.folder, env=env)
        except (HandlerError, asyncio.CancelledError):
            await end_on_server(self.context, self.database)
            raise
        return _judged(done, env["DATABASE_URL"], self.database.name, lasting=not trial)


def _argv(folder: Path, watch: str, revision: str, *, trial: bool) -> list[str]:
    script = _SCRIPT.format(watch=watch)
    return [sys.executable, "-P", "-c", script, str(folder / "alembic.ini"), revision, "trial" if trial else ""]


def _judged(done: Completed, hidden: str, shown: str, *, lasting: bool) -> tuple[str | None, str | None]:
    if match := _NO_MODULE.search(done.stderr):
        driver = match[1] not in ("alembic", "sqlalchemy")
        raise MissingToolError(match[1], f"python -m pip install {match[1]}" if driver else INSTALL)
    if done.returncode != 0:
        code = "killed" if done.killed and lasting else "migration-failed"
        _, marked, said = done.stderr.rpartition("alembic: ")
        words = ((said if marked else done.tail) or done.how).strip().replace(hidden, shown)
        retryable = code == "killed" or passes(words)
        raise HandlerError(f"alembic: {words}", code=code, retryable=retryable)
    found = [line.removeprefix("version:").strip() or None for line in done.stdout.splitlines()]
    versions = [one for one, line in zip(found, done.stdout.splitlines(), strict=True) if line.startswith("version:")]
    return (versions[0], versions[-1]) if versions else (None, None)


def _sqlalchemy_url(database: Postgres) -> str:
    """Return the URL for SQLAlchemy; what does not fit in one its driver reads from the PG* variables."""
    env = database.env
    host, port = env.get("PGHOST", ""), env.get("PGPORT", "")
    url = f"postgresql+{database.driver or _driver()}://"
    if not host or host.startswith("/") or "," in host:
        return url
    login = quote(env.get("PGUSER", ""), safe="")
    if "PGPASSWORD" in env:
        login += ":" + quote(env["PGPASSWORD"], safe="")
    place = (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")
    return f"{url}{login}{'@' if login else ''}{place}/{quote(env.get('PGDATABASE', ''), safe='')}"


def _driver() -> str:
    from importlib.util import find_spec

    return next((name for name in ("psycopg", "psycopg2", "pg8000") if find_spec(name)), "psycopg")
