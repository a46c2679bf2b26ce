"""database.* against a PostgreSQL server of the tests' own."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.database.backup import Backup
from swarm_tui.agent.handlers.database.migrate import Migrate
from tests.unit.handlers.conftest import Bench
from tests.wait import until


def _tool(name: str) -> str | None:
    newest = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    return shutil.which(name) or (str(newest[0]) if newest else None)


def _as_somebody() -> list[str]:
    """The server refuses to run as root."""
    return [] if os.geteuid() else ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


class Server:
    """A server on a socket in a folder of its own; two databases, emptied for each test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def sql(self, sql: str, database: str = "postgres") -> str:
        argv = ["psql", "-h", str(self.folder), "-U", "postgres", "-d", database, "-XqAt", "-v", "ON_ERROR_STOP=1"]
        return subprocess.run([*argv, "-c", sql], check=True, capture_output=True, text=True).stdout.strip()

    def empty(self, database: str) -> str:
        """Make the database, or empty it: a new one for each test would cost more."""
        if self.sql(f"SELECT 1 FROM pg_database WHERE datname = '{database}'") != "1":
            self.sql(f"CREATE DATABASE {database} TEMPLATE template0")
        self.sql("SET client_min_messages = error; DROP SCHEMA public CASCADE; CREATE SCHEMA public", database)
        return database

    def url(self, database: str, scheme: str = "postgresql") -> str:
        return f"{scheme}://postgres@{quote(str(self.folder), safe='')}/{database}"

    def active(self, database: str) -> int:
        """How many statements the server works on there."""
        others = f"datname = '{database}' AND state <> 'idle' AND pid <> pg_backend_pid()"
        return int(self.sql(f"SELECT count(*) FROM pg_stat_activity WHERE {others}"))


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    postgres, initdb = _tool("postgres"), _tool("initdb")
    if postgres is None or initdb is None or shutil.which("psql") is None:
        pytest.skip("no PostgreSQL server is installed here: apt-get install postgresql")
    with tempfile.TemporaryDirectory(prefix="swarm-pg-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if not os.geteuid():
            shutil.chown(folder, "nobody", "nogroup")
        run = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        argv = [initdb, "-D", str(folder / "data"), "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
        subprocess.run([*_as_somebody(), *argv, "--locale=C"], check=True, **run)  # type: ignore[call-overload]
        options = ["-k", str(folder), "-c", "listen_addresses=", "-F"]
        process = subprocess.Popen([*_as_somebody(), postgres, "-D", str(folder / "data"), *options], **run)  # type: ignore[call-overload]
        made = Server(folder)
        try:
            until(lambda: _answers(made), 30, what="the server answers")
            yield made
        finally:
            process.send_signal(signal.SIGQUIT)
            process.wait(20)


def _answers(server: Server) -> bool:
    with contextlib.suppress(subprocess.CalledProcessError):
        return server.sql("SELECT 1") == "1"
    return False


class App:
    """A project with a database of its own."""

    def __init__(self, bench: Bench, server: Server) -> None:
        self.bench, self.server = bench, server
        self.name = server.empty("app")
        self.options: dict[str, Any] = {"databases": {"main": server.url(self.name)}, "lock_timeout": 0.3}

    def write(self, name: str, sql: str) -> None:
        self.bench.write(f"migrations/{name}", sql)

    def migrate(self, **payload: Any) -> dict[str, Any]:
        return self.bench.run(Migrate(), "database.migrate", payload, options=self.options)

    def fails(self, match: str, **payload: Any) -> HandlerError:
        with pytest.raises(HandlerError, match=match) as caught:
            self.migrate(**payload)
        return caught.value

    def sql(self, sql: str) -> str:
        return self.server.sql(sql, self.name)

    def tables(self) -> list[str]:
        return self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1").split()


@pytest.fixture
def app(bench: Bench, server: Server) -> App:
    return App(bench, server)


def test_what_is_pending_is_applied_once(app: App) -> None:
    app.write("0001_a.sql", "CREATE TABLE a (id int);\n")
    app.write("0002_b.sql", "DROP TABLE IF EXISTS none_such;\nSET search_path = pg_catalog;\nSET ROLE pg_monitor")
    app.write(
        "0003_f.sql",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; END;\n",
    )
    assert [row["version"] for row in app.migrate(dry_run=True)["applied"]] == [1, 2, 3]
    assert app.tables() == []
    first = app.migrate()
    assert ([row["version"] for row in first["applied"]], first["version"], first["pending"]) == ([1, 2, 3], 3, 0)
    assert "untried" not in first
    assert app.sql("SELECT version, task_id FROM schema_migrations ORDER BY 1").splitlines() == [
        "1|t-1",
        "2|t-1",
        "3|t-1",
    ]
    assert app.sql("SELECT one()") == "1"
    assert app.migrate()["applied"] == []


def test_an_error_names_file_and_line_and_nothing_besides(app: App) -> None:
    app.write("0001_a.sql", "DROP TABLE IF EXISTS none_such;\nCREATE TABLE a (id int);\n")
    app.write(
        "0002_b.sql",
        "DO $$ BEGIN RAISE WARNING 'careful'; END $$;\n-- é\nINSERT INTO\n  nowhere\nVALUES (1);\nSELECT 1;\n",
    )
    error = app.fails('0002_b.sql:4: relation "nowhere" does not exist; nothing was changed')
    assert error.result == {
        "file": "0002_b.sql",
        "line": 4,
        "sqlstate": "42P01",
        "statement": "INSERT INTO\n  nowhere\nVALUES (1);",
    }
    assert (error.code, error.retryable) == ("migration-failed", False)
    assert not re.search("NOTICE|WARNING|careful|LOCATION|swarm-migrate", str(error))
    assert app.tables() == []


def test_a_cancel_ends_the_statement_on_the_server(app: App) -> None:
    app.write("0001_long.sql", "CREATE TABLE a (id int);\nSELECT pg_sleep(60);\n")
    with pytest.raises(HandlerError, match="cancelled"):
        app.bench.cancel_when(
            Migrate(), "database.migrate", lambda: app.server.active(app.name) > 0, payload={}, options=app.options
        )
    assert app.server.active(app.name) == 0
    assert app.tables() == []


def test_a_cancelled_backup_leaves_no_statement_and_no_file(app: App) -> None:
    app.sql("CREATE TABLE a (id int)")
    app.options["lock_timeout"] = 60
    with _locked(app, "a"):
        with pytest.raises(HandlerError, match="cancelled"):
            app.bench.cancel_when(
                Backup(), "database.backup", lambda: app.server.active(app.name) > 1, payload={}, options=app.options
            )
        assert app.server.active(app.name) == 1, "only the one that holds the lock"
    assert list((app.bench.workdir / "backups").iterdir()) == []


@contextlib.contextmanager
def _locked(app: App, table: str) -> Iterator[None]:
    """Another program's lock on a table."""
    argv = ["psql", "-h", str(app.server.folder), "-U", "postgres", "-d", app.name, "-XqAt"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        other.stdin.write(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; SELECT 1;\n")
        other.stdin.flush()
        assert other.stdout.readline() == "1\n"
        try:
            yield
        finally:
            other.stdin.close()
            other.wait(10)


def test_a_lock_of_anothers_is_waited_for_and_then_tried_again(app: App) -> None:
    app.sql("CREATE TABLE a (id int)")
    app.write("0001_b.sql", "ALTER TABLE a ADD COLUMN b int;\n")
    with _locked(app, "a"):
        error = app.fails("0001_b.sql:1: canceling statement due to lock timeout; nothing was changed")
        with pytest.raises(HandlerError, match=r"LOCK TABLE public\.a") as caught:
            app.bench.run(Backup(), "database.backup", {}, options=app.options)
    assert (error.code, error.retryable, caught.value.retryable) == ("migration-failed", True, True)


@pytest.mark.parametrize(
    ("url", "words", "retryable"),
    [
        ("postgresql://nobody_here@{place}/{name}", "does not exist", False),
        ("postgresql://postgres@{place}/none_such", "does not exist", False),
        ("postgresql://postgres@{place}none/{name}", "No such file", True),
        ("postgresql://postgres@127.0.0.1:1/{name}", "refused", True),
    ],
)
def test_only_what_can_pass_by_itself_is_tried_again(app: App, url: str, words: str, retryable: bool) -> None:
    place = quote(str(app.server.folder), safe="")
    app.options["databases"] = {"main": url.format(place=place, name=app.name)}
    app.write("0001_a.sql", "CREATE TABLE a (id int);\n")
    assert app.fails(f"{words}.*nothing was changed").retryable is retryable
    with pytest.raises(HandlerError, match=words) as caught:
        app.bench.run(Backup(), "database.backup", {}, options=app.options)
    assert caught.value.retryable is retryable


def test_what_postgresql_wants_outside_of_transactions_runs_there(app: App) -> None:
    app.write("0001_a.sql", "CREATE TABLE a (id int);\n")
    app.write("0002_i.sql", "-- quick\nCREATE INDEX CONCURRENTLY a_id ON a (id);\n")
    app.write("0003_b.sql", "ALTER TABLE a ADD COLUMN b int;\n")
    tried = app.migrate(dry_run=True)
    assert (tried["untried"], app.tables()) == (["0002_i.sql", "0003_b.sql"], [])
    assert [row["version"] for row in app.migrate()["applied"]] == [1, 2, 3]
    assert app.sql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'a_id'::regclass") == "t"
    app.write("0004_mixed.sql", "CREATE TABLE c (id int);\nDROP INDEX CONCURRENTLY a_id;\n")
    assert app.fails("0004_mixed.sql:2: .*a file of its own").code == "bad-migrations"


def test_what_stays_of_a_failure_outside_of_a_transaction_is_told(app: App) -> None:
    app.write("0001_a.sql", "CREATE TABLE a AS SELECT 1 AS id UNION ALL SELECT 1;\n")
    app.write("0002_i.sql", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS a_id ON a (id);\n")
    app.write("0003_b.sql", "CREATE TABLE b (id int);\n")
    error = app.fails("0002_i.sql:1: could not create unique index.*0001_a.sql stay applied.*may be left invalid")
    assert "nothing was changed" not in str(error)
    assert (error.result or {})["kept"] == ["0001_a.sql"]
    assert app.tables() == ["a", "schema_migrations"]
    app.fails("index a_id is not valid.*DROP INDEX CONCURRENTLY")
    assert app.sql("SELECT max(version) FROM schema_migrations") == "1"
    app.sql("DROP INDEX a_id; DELETE FROM a")
    assert [row["version"] for row in app.migrate()["applied"]] == [2, 3]


def test_a_history_of_another_tools_is_left_alone(app: App) -> None:
    app.sql("CREATE TABLE schema_migrations (version bigint PRIMARY KEY, dirty boolean)")
    app.write("0001_a.sql", "CREATE TABLE a (id int);\n")
    error = app.fails(r"another tool's \(its columns: dirty, version\).*`table`.*nothing was changed")
    assert error.code == "foreign-history"
    app.options["table"] = "swarm_migrations"
    app.migrate()
    assert app.tables() == ["a", "schema_migrations", "swarm_migrations"]


@pytest.mark.parametrize(
    "spelling",
    [
        "postgres://postgres@{place}/{name}",
        "POSTGRESQL://postgres@{place}/{name}",
        "postgresql+psycopg2://postgres@{place}/{name}?connect_timeout=3",
        "postgresql+asyncpg:///{name}?host={place}&user=postgres",
        "jdbc:postgresql:///{name}?host={place}&user=postgres&keepalives=1",
        "host='{folder}' dbname = {name} user=postgres",
        "dbname={name} host={folder} user=postgres sslmode=prefer",
    ],
)
def test_every_spelling_reaches_the_server(app: App, spelling: str) -> None:
    folder = str(app.server.folder)
    url = spelling.format(place=quote(folder, safe=""), folder=folder, name=app.name)
    app.options["databases"] = {"main": url}
    app.write("0001_a.sql", "CREATE TABLE a (id int);\n")
    assert app.migrate()["version"] == 1


def test_two_backups_in_one_second(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    app.sql("CREATE TABLE a AS SELECT 1")

    async def go() -> list[dict[str, Any]]:
        context = app.bench.context("database.backup", {}, options=app.options)
        return await asyncio.gather(*(Backup().run(context) for _ in range(2)))

    done = asyncio.run(go())
    assert len({row["output"] for row in done}) == 2
    assert [row["tables"] for row in done] == [["public.a"]] * 2
    assert len(list((app.bench.workdir / "backups").iterdir())) == 2


ENV = """
import os
from alembic import context
from sqlalchemy import create_engine
engine = create_engine({url})
with engine.connect() as connection:
    context.configure(connection=connection{more})
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
from alembic import op
revision, down_revision = "{name}", {down}
def upgrade():
    {body}
"""


@pytest.fixture
def alembic(app: App) -> Callable[..., None]:
    pytest.importorskip("alembic")
    pytest.importorskip("psycopg")

    def make(*bodies: str, url: str = 'context.config.get_main_option("sqlalchemy.url")', more: str = "") -> None:
        app.bench.write("db/alembic.ini", "[alembic]\nscript_location = %(here)s/alembic\n")
        app.bench.write("db/alembic/env.py", ENV.format(url=url, more=more))
        for number, body in enumerate(bodies, 1):
            down = repr(f"r{number - 1}") if number > 1 else None
            app.bench.write(
                f"db/alembic/versions/r{number}.py", REVISION.format(name=f"r{number}", down=down, body=body)
            )

    return make


def test_alembic_is_tried_in_a_transaction_that_is_taken_back(app: App, alembic: Callable[..., None]) -> None:
    alembic('op.execute("CREATE TABLE a (id int)")', 'op.execute("CREATE TABLE b (id int)")')
    assert app.migrate(source="db", dry_run=True)["version"] is None
    assert app.tables() == []
    done = app.migrate(source="db", version="r1")
    assert (done["kind"], done["previous_version"], done["version"]) == ("alembic", None, "r1")
    assert app.migrate(source="db")["version"] == "r2"
    assert app.tables() == ["a", "alembic_version", "b"]
    alembic(*["pass"] * 2, 'op.execute("CREATE TABLE c (id int)"); op.execute("INSERT INTO nowhere VALUES (1)")')
    app.fails(
        r'^alembic: alembic/versions/r3.py:\d: relation "nowhere" does not exist(.|\n)*nothing was changed', source="db"
    )
    assert app.tables() == ["a", "alembic_version", "b"]


def test_alembic_that_opens_another_database_is_stopped(app: App, alembic: Callable[..., None]) -> None:
    other = app.server.empty("other")
    alembic(
        'op.execute("CREATE TABLE a (id int)")',
        url=repr(f"postgresql+psycopg://postgres@/{other}?host={app.server.folder}"),
    )
    app.fails(f"env.py opens another database than the target: {other}", source="db")
    alembic('op.execute("CREATE TABLE a (id int)")', url='"sqlite:///out.db"')
    app.fails("env.py opens another database than the target", source="db")
    assert app.server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'", other) == "0"


def test_alembic_that_commits_by_itself_is_not_tried_halfway(app: App, alembic: Callable[..., None]) -> None:
    concurrently = 'with op.get_context().autocommit_block(): op.execute("CREATE INDEX CONCURRENTLY i ON a (id)")'
    alembic('op.execute("CREATE TABLE a (id int)")', concurrently, more=", transaction_per_migration=True")
    app.migrate(source="db", dry_run=True)
    assert app.tables() == []
    assert app.migrate(source="db")["version"] == "r2"


def test_a_cancelled_alembic_leaves_no_statement(app: App, alembic: Callable[..., None]) -> None:
    alembic('op.execute("SELECT pg_sleep(60)")')

    def sleeping() -> bool:
        return app.server.sql("SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'") == "1"

    with pytest.raises(HandlerError, match="cancelled"):
        app.bench.cancel_when(Migrate(), "database.migrate", sleeping, payload={"source": "db"}, options=app.options)
    assert app.server.active(app.name) == 0
