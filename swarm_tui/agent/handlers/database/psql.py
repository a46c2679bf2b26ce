"""Runs SQL by psql: errors by file and line, and no statement left on the server when a task ends."""

import asyncio
import re
from collections.abc import Mapping, Sequence

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.database.url import Postgres
from swarm_tui.agent.handlers.process import Completed, run_process

INSTALL = "sudo apt-get install -y postgresql-client"
#: Seconds to reach a server, unless its URL says otherwise; a task's own end would leave more open than it need.
_CONNECT = "15"
#: The exit status by which psql says that its connection was lost; before it had begun it has echoed no version.
_LOST = 2
#: One message of psql's about a script; classes 00 to 02 of SQLSTATE are warnings and notices.
_MESSAGE = re.compile(r"^psql:(.+?):(\d+): (?:\w+:\s+(?:([0-9A-Z]{5}): )?)?", re.MULTILINE)
#: SQLSTATEs, or their classes, of what passes by itself: connections, locks, deadlocks, a server that starts or stops.
_PASSING_STATES = ("08", "40", "53300", "55P03", "57P01", "57P02", "57P03")
_PASSING_WORDS = re.compile(
    "connection refused|is the server running|connection reset|server closed the connection|timed out|timeout expired|"
    "connection to server was lost|temporary failure in name resolution|no route to host|network is unreachable|"
    "starting up|shutting down|too many clients|remaining connection slots|not yet accepting connections|"
    "lock timeout|query was: lock table",
    re.IGNORECASE,
)


class SqlProblem(Struct, frozen=True, kw_only=True):
    """An error of psql's, taken apart: `file` and last `line` of the statement, SQLSTATE, words, quoted source line."""

    file: str
    line: int
    state: str
    words: str
    excerpt: str

    @property
    def passing(self) -> bool:
        """Return whether it may be gone at another attempt."""
        return self.state.startswith(_PASSING_STATES) if self.state else passes(self.words)


def passes(words: str) -> bool:
    """Return whether what a client of PostgreSQL says may be gone at another attempt."""
    return bool(_PASSING_WORDS.search(words))


def problem(stderr: str) -> SqlProblem | None:
    """Return the error at which psql stopped, without the warnings before it."""
    for match in reversed(list(_MESSAGE.finditer(stderr))):
        if match[3] and match[3].startswith(("00", "01", "02")):
            continue
        first, *more = stderr[match.end() :].splitlines() or [""]
        said = [line.strip() for line in more if re.match(r"(?:DETAIL|HINT|CONTEXT): ", line)]
        quoted = next((line.partition(": ")[2] for line in more if re.match(r"LINE \d+: ", line)), "")
        words = "; ".join([first.strip(), *said])
        return SqlProblem(
            file=match[1], line=int(match[2]), state=match[3] or "", words=words, excerpt=quoted.strip(". ")
        )
    return None


def client_env(context: Context, database: Postgres) -> dict[str, str]:
    """Return the variables for a client of `database`, whose connections bear a name of this attempt's own."""
    given = re.sub(r"[^A-Za-z0-9_.: -]", "_", database.env.get("PGAPPNAME", "swarm-tui"))[:20]
    named = f"{given} {context.task_id[:24]} {context.fence[:16]}"
    quiet = {"PGCLIENTENCODING": "UTF8", "LC_ALL": "C.UTF-8", "PGAPPNAME": named}
    return {"PGCONNECT_TIMEOUT": _CONNECT, **database.env, **quiet}


async def run_client(
    context: Context, database: Postgres, argv: Sequence[str], *, stdin: bytes | None = None
) -> Completed:
    """Run a client of `database`; when the task ends first, end what it had the server do.

    Raises MissingToolError, HandlerError (`cancelled`, `timeout`).
    """
    env = client_env(context, database)
    try:
        return await run_process(context, argv, env=env, stdin=stdin, install=INSTALL)
    except (HandlerError, asyncio.CancelledError) as error:
        if getattr(error, "code", "cancelled") in ("cancelled", "timeout", "stopped"):
            await end_on_server(context, database)
        raise


async def end_on_server(context: Context, database: Postgres) -> None:
    """End what the server still does for this attempt: a backend does not notice that its client is gone."""
    env = {**client_env(context, database), "PGCONNECT_TIMEOUT": "3"}
    name, env["PGAPPNAME"] = env["PGAPPNAME"], "swarm-tui cancel"
    sql = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '{name}'"
    argv = ["psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "-c", sql]
    try:
        done = await run_process(context, argv, env=env, timeout=5.0, heed_cancel=False, install=INSTALL)
    except HandlerError as error:
        context.log(f"the server was not told to stop: {error}")
        return
    if done.returncode != 0:
        context.log(f"the server was not told to stop: {done.tail}")


async def psql(
    context: Context,
    database: Postgres,
    script: str,
    *,
    files: Mapping[str, str] | None = None,
    lasting: bool = False,
) -> str:
    """Run a script; `files` are those that it includes by `\\i`, by path, with the names that people know.

    Returns what it prints. Raises HandlerError: `migration-failed`, whose `result` says `file` and `line`; `killed`
    where psql was, or lost its server in the middle of what lasts.
    """
    argv = ["psql", "--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align"]
    # Told of a file, even of this one, psql says the line of an error.
    argv += ["-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f", "-"]
    done = await run_client(context, database, argv, stdin=script.encode())
    if done.returncode == 0:
        return done.stdout
    found = problem(done.stderr)
    halfway = done.killed or (done.returncode == _LOST and bool(done.stdout.strip()))
    if halfway and lasting:
        raise HandlerError(f"psql: {found.words if found else done.tail or done.how}", code="killed", retryable=True)
    if found is None:
        words = re.sub(r"\s*Is the server running.*", "", done.tail, flags=re.DOTALL).removeprefix("psql: error: ")
        raise HandlerError(
            f"psql: {words or done.how}", code="migration-failed", retryable=halfway or passes(done.tail)
        )
    file = (files or {}).get(found.file)
    place = {"file": file, "line": found.line, "sqlstate": found.state, "excerpt": found.excerpt} if file else None
    where = f"{file}:{found.line}" if file else "psql"
    raise HandlerError(f"{where}: {found.words}", code="migration-failed", retryable=found.passing, result=place)
