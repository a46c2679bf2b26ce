"""Applies numbered SQL to PostgreSQL by psql: once in a transaction that is rolled back, then in one that is kept."""

import re
from typing import Any

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.database.migrations import Migration
from swarm_tui.agent.handlers.database.url import Postgres
from swarm_tui.agent.handlers.process import run_process

INSTALL = "sudo apt-get install -y postgresql-client"
_TABLE = (
    "CREATE TABLE IF NOT EXISTS schema_migrations "
    "(version bigint PRIMARY KEY, name text, checksum text, applied_at timestamptz DEFAULT now(), task_id text);"
)
#: Comments, strings, quoted names and dollar-quoted bodies, as psql reads them: what stands in them is no command.
_QUOTED = re.compile(
    r"--[^\n]*|/\*.*?\*/|\b[eE]'(?:[^'\\]|\\.|'')*'|'(?:[^']|'')*'|"
    r'"(?:[^"]|"")*"'
    r"|(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$",
    re.DOTALL,
)
_OPEN = re.compile(r"['\"]|/\*|(?<![\w$])\$(?:[^\W\d]\w*)?\$")
_REFUSED = re.compile(
    r"\\\S*|(?:\A|(?<=;))\s*(?:begin|commit|rollback|end|abort|start\s+transaction|prepare\s+transaction)\b"
    r"|\bstandard_conforming_strings\b",
    re.IGNORECASE,
)
#: The exit status by which psql says that its connection was lost; before it had begun it has echoed no version.
_LOST = 2


async def migrate_postgres(
    context: Context, database: Postgres, known: list[Migration], up_to: int | None, dry_run: bool
) -> dict[str, Any]:
    """Apply what is pending; a transaction rolled back stands for the copy. Raises HandlerError, MissingToolError."""
    for migration in known:
        if reason := refused(migration.sql):
            raise HandlerError(f"{migration.file}:{reason}", code="bad-migrations")
    applied = await _applied(context, database)
    changed = [one.file for one in known if applied.get(one.version, one.checksum) != one.checksum]
    if changed:
        raise HandlerError(f"{changed[0]} was changed after it was applied: add a new one", code="changed")
    last = max(applied, default=-1)
    todo = [one for one in known if one.version not in applied and (up_to is None or one.version <= up_to)]
    if todo and todo[0].version < last:
        message = f"{todo[0].file} comes before {last}, which is applied: give it a higher number"
        raise HandlerError(message, code="out-of-order")
    if todo:
        context.progress(30, "trying it in a transaction that is rolled back")
        await _psql(context, database, _script(todo, context.task_id, "ROLLBACK;"))
        if not dry_run:
            context.progress(65, "migrating")
            await _psql(context, database, _script(todo, context.task_id, "COMMIT;"), lasting=True)
            applied |= {one.version: one.checksum for one in todo}
    rows = [{"version": one.version, "file": one.file} for one in todo]
    left = len([one for one in known if one.version not in applied])
    return {"kind": "sql", "applied": rows, "version": max(applied, default=None), "pending": left}


def refused(sql: str) -> str | None:
    """`line: reason` where a script could leave our transaction or run programs by psql's own commands, else None."""
    outside = _QUOTED.sub(lambda quoted: re.sub(r"[^\n]", " ", quoted[0]), sql)
    if match := _OPEN.search(outside):
        return f"{outside.count(chr(10), 0, match.start()) + 1}: {match[0]} is not closed"
    if match := _REFUSED.search(outside):
        return f"{outside.count(chr(10), 0, match.end()) + 1}: it may not {' '.join(match[0].split())}"
    return None


async def _applied(context: Context, database: Postgres) -> dict[int, str]:
    there = "SELECT count(*) FROM pg_tables WHERE tablename = 'schema_migrations';"
    if (await _psql(context, database, there)).strip() == "0":
        return {}
    rows = await _psql(context, database, "SELECT version, checksum FROM schema_migrations;")
    return {int(version): checksum for version, _, checksum in (row.partition("|") for row in rows.split())}


def _script(todo: list[Migration], task_id: str, end: str) -> str:
    parts = ["BEGIN;", _TABLE]
    for one in todo:
        values = ", ".join(_quoted(text) for text in (one.name, one.checksum, task_id))
        parts.append(f"\\echo {one.version}\n{one.sql}\n;")
        insert = "INSERT INTO schema_migrations (version, name, checksum, task_id)"
        parts.append(f"{insert} VALUES ({one.version}, {values});")
    return "\n".join([*parts, end])


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


async def _psql(context: Context, database: Postgres, script: str, *, lasting: bool = False) -> str:
    """Return its output. Raises HandlerError: `killed` where it was, or lost its server in the middle of what lasts."""
    argv = ["psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align", "-v", "ON_ERROR_STOP=1"]
    done = await run_process(context, argv, env=database.env, stdin=script.encode(), install=INSTALL)
    if done.returncode != 0:
        halfway = done.killed or (done.returncode == _LOST and bool(done.stdout.strip()))
        code = "killed" if halfway and lasting else "migration-failed"
        raise HandlerError(f"psql: {done.tail or done.how}", code=code, retryable=code == "killed")
    return done.stdout
