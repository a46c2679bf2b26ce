"""database.migrate and .backup: all or nothing, tried on a copy, proved by restoring."""

import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.database import migrations
from swarm_tui.agent.handlers.database.backup import Backup
from swarm_tui.agent.handlers.database.migrate import Migrate
from swarm_tui.agent.handlers.database.migrations import statements
from swarm_tui.agent.handlers.database.url import Options, find_database
from swarm_tui.agent.handlers.database.with_postgres import refused

TRIGGER = """-- a trigger holds semicolons
CREATE TRIGGER log AFTER INSERT ON users BEGIN
  INSERT INTO notes (text) VALUES ('new; user');
END;
"""


@contextlib.contextmanager
def database(bench, name="app.db"):
    with contextlib.closing(sqlite3.connect(bench.workdir / name)) as connection, connection:
        yield connection


@pytest.fixture
def app(bench):
    with database(bench) as connection:
        connection.execute("CREATE TABLE old (id INTEGER PRIMARY KEY, text TEXT)")
        connection.executemany("INSERT INTO old (text) VALUES (?)", [("a",), ("b",)])
    bench.write("migrations/0001_users.sql", "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);\n")
    bench.write("migrations/0002_notes.sql", "CREATE TABLE notes (text TEXT);\n" + TRIGGER)
    bench.write("migrations/0002_notes.down.sql", "DROP TABLE notes;")
    return bench


def dump(bench):
    with database(bench) as connection:
        return "\n".join(connection.iterdump())


def migrate(bench, **payload):
    return bench.run(Migrate(), "database.migrate", {"target": "app.db", **payload})


def test_all_pending_migrations_are_applied_once(app):
    first = migrate(app)
    assert [row["file"] for row in first["applied"]] == ["0001_users.sql", "0002_notes.sql"]
    assert (first["version"], first["pending"]) == (2, 0)
    with database(app) as connection:
        connection.execute("INSERT INTO users (name) VALUES ('x')")
        assert connection.execute("SELECT text FROM notes").fetchall() == [("new; user",)]
        assert connection.execute("SELECT task_id FROM schema_migrations").fetchall() == [("t-1",)] * 2
    assert migrate(app)["applied"] == []


def test_up_to_a_version_and_dry_run(app):
    before = dump(app)
    assert len(migrate(app, dry_run=True)["applied"]) == 2
    assert dump(app) == before
    result = migrate(app, version="1")
    assert (result["version"], result["pending"]) == (1, 1)


def test_a_failing_migration_changes_nothing_and_names_its_line(app):
    app.write("migrations/0003_bad.sql", "-- fine\nCREATE TABLE fine (a);\n\n-- not\nINSERT INTO nowhere VALUES (1);\n")
    before = dump(app)
    with pytest.raises(HandlerError, match=r"0003_bad.sql:5: no such table: nowhere") as caught:
        migrate(app)
    assert caught.value.code == "migration-failed"
    assert caught.value.result["line"] == 5
    assert dump(app) == before


@pytest.mark.parametrize("statement", ["COMMIT", "BEGIN", "ATTACH 'x.db' AS x", "SAVEPOINT a", "VACUUM INTO 'x.db'"])
def test_a_migration_cannot_leave_its_transaction_or_its_file(app, statement):
    app.write("migrations/0003_out.sql", f"CREATE TABLE a (b);\n{statement};\n")
    before = dump(app)
    with pytest.raises(HandlerError, match="0003_out"):
        migrate(app)
    assert dump(app) == before
    assert not (app.workdir / "x.db").exists()


def test_history_is_not_rewritten(app):
    migrate(app)
    app.write("migrations/0001_users.sql", "CREATE TABLE people (id);")
    with pytest.raises(HandlerError, match="changed after"):
        migrate(app)


def test_order_and_numbers(app):
    app.write("migrations/0004_late.sql", "CREATE TABLE late (a);")
    migrate(app)
    app.write("migrations/3.sql", "CREATE TABLE three (a);")
    with pytest.raises(HandlerError, match="higher number"):
        migrate(app)
    app.write("migrations/003_again.sql", "CREATE TABLE three (a);")
    with pytest.raises(HandlerError, match="same number"):
        migrate(app)


def test_broken_references_are_refused(app):
    app.write("migrations/0003_ref.sql", "CREATE TABLE r (u REFERENCES users (id));\nINSERT INTO r VALUES (99);\n")
    with pytest.raises(HandlerError, match="1 rows would refer"):
        migrate(app)


def test_a_cancel_leaves_all_as_it_was(app):
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT count(*) FROM n;"
    app.write("migrations/0003_endless.sql", endless)
    before = dump(app)

    def ready():
        return any(message == "migrating the copy" for _, message in app.heard.progress)

    with pytest.raises(HandlerError, match="cancelled"):
        app.cancel_when(Migrate(), "database.migrate", ready, payload={"target": "app.db"})
    assert dump(app) == before


def test_a_missing_file_is_made_only_on_request(bench):
    bench.write("migrations/1.sql", "CREATE TABLE a (b)")
    with pytest.raises(HandlerError, match="not there"):
        migrate(bench)
    assert migrate(bench, create=True)["version"] == 1


def test_statements_know_their_lines():
    assert list(statements("\n-- c\nA;\n\n/* d\n */ B;\n-- end\n")) == [(3, "-- c\nA;"), (6, "/* d\n */ B;")]


ENV = """
from alembic import context
from sqlalchemy import create_engine
engine = create_engine({url})
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
REVISION = """
from alembic import op
revision, down_revision = "{name}", {down}
def upgrade():
    op.execute("{sql}")
"""


def alembic(bench, url='context.config.get_main_option("sqlalchemy.url")'):
    bench.write("db/alembic.ini", "[alembic]\nscript_location = %(here)s/alembic\nsqlalchemy.url = sqlite:///x.db\n")
    bench.write("db/alembic/env.py", ENV.format(url=url))
    bench.write("db/alembic/versions/a1.py", REVISION.format(name="a1", down=None, sql="CREATE TABLE a (b)"))


def test_alembic_runs_on_a_copy_first(app):
    alembic(app)
    first = migrate(app, source="db")
    assert (first["kind"], first["previous_version"], first["version"]) == ("alembic", None, "a1")
    app.write("db/alembic/versions/b2.py", REVISION.format(name="b2", down='"a1"', sql="INSERT INTO no VALUES (1)"))
    before = dump(app)
    with pytest.raises(HandlerError, match="no such table: no"):
        migrate(app, source="db")
    assert dump(app) == before


def test_alembic_that_cannot_be_kept_off_the_real_file_is_refused(app):
    alembic(app, url=repr(f"sqlite:///{app.workdir}/app.db"))
    before = dump(app)
    with pytest.raises(HandlerError, match="cannot be tried on a copy"):
        migrate(app, source="db")
    assert dump(app) == before


def test_a_backup_of_a_database_in_use_is_restored(app):
    with database(app) as writer:
        writer.execute("PRAGMA journal_mode=WAL")
        writer.execute("INSERT INTO old (text) VALUES ('c')")
        writer.commit()
        writer.execute("INSERT INTO old (text) VALUES ('not committed')")
        result = app.run(Backup(), "database.backup", {"target": "app.db", "output": "backups/one.db"})
        writer.rollback()
    copy = app.workdir / result["output"]
    assert (result["tables"], result["verified"]) == ({"old": 3}, True)
    assert copy.stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in copy.parent.iterdir()) == ["one.db"]
    with pytest.raises(HandlerError, match="overwrites nothing"):
        app.run(Backup(), "database.backup", {"target": "app.db", "output": "backups/one.db"})


def test_a_damaged_database_gives_no_backup(app):
    file = app.workdir / "app.db"
    data = bytearray(file.read_bytes())
    data[4096 + 5 : 4096 + 40] = b"\xff" * 35
    file.write_bytes(data)
    with pytest.raises(HandlerError) as caught:
        app.run(Backup(), "database.backup", {"target": "app.db"})
    assert caught.value.code in ("damaged", "not-a-database")
    assert list((app.workdir / "backups").iterdir()) == []


def test_what_is_no_database_is_refused(app):
    app.write("text.db", "this is not a database, and long enough to be looked at as one" * 20)
    for target in ("text.db", "none.db", "../app.db"):
        with pytest.raises(HandlerError):
            app.run(Backup(), "database.backup", {"target": target})


def test_passwords_stay_out_of_tasks_and_command_lines(bench):
    async def go(options, target):
        return find_database(bench.context("database.backup"), options, target)

    with pytest.raises(HandlerError, match="for all to read"):
        asyncio.run(go(Options(), "postgresql://u:p@db/app"))
    known = asyncio.run(go(Options(databases={"main": "postgresql://u:p%40@db:5433/app"}), None))
    assert known.env == {
        "PGHOST": "db",
        "PGPORT": "5433",
        "PGUSER": "u",
        "PGPASSWORD": "p@",
        "PGDATABASE": "app",
    }
    assert "p@" not in known.name


@pytest.mark.parametrize(
    ("spelling", "env"),
    [
        ("postgres://u:topsecret@db/app", {"PGHOST": "db", "PGUSER": "u", "PGDATABASE": "app"}),
        ("POSTGRESQL+asyncpg://u:topsecret@db:5433/app", {"PGHOST": "db", "PGPORT": "5433"}),
        ("jdbc:postgresql://db/app?user=u&password=topsecret&ssl=true", {"PGUSER": "u", "PGSSLMODE": "require"}),
        ("host=db dbname=app user = u password='topsecret'", {"PGHOST": "db", "PGDATABASE": "app", "PGUSER": "u"}),
        (r"password='topsecret' user='o\'hara x' dbname=app", {"PGUSER": "o'hara x"}),
        ("postgresql://u:topsecret@[::1]:5432/app", {"PGHOST": "::1", "PGPORT": "5432"}),
        ("postgresql://u:topsecret@one,two:6000/app", {"PGHOST": "one,two", "PGPORT": "5432,6000"}),
        ("postgresql://u:topsecret@%2Fvar%2Frun/app?keepalives=1", {"PGHOST": "/var/run"}),
        ("postgresql:///app?host=/run&service=main&user=u&password=topsecret", {"PGHOST": "/run", "PGSERVICE": "main"}),
        ("postgresql://u:topsecret@db/app?sslcert=a.pem&sslkey=b.pem", {"PGSSLCERT": "a.pem", "PGSSLKEY": "b.pem"}),
    ],
)
def test_every_spelling_of_a_server_is_understood(bench, spelling, env):
    async def go(options, target):
        return find_database(bench.context("t"), options, target)

    known = asyncio.run(go(Options(databases={"main": spelling}), None))
    assert env.items() <= known.env.items()
    assert known.env["PGPASSWORD"] == "topsecret"
    assert "topsecret" not in known.name
    with pytest.raises(HandlerError, match="for all to read") as caught:
        asyncio.run(go(Options(), spelling))
    assert "topsecret" not in str(caught.value)


@pytest.mark.parametrize(
    "spelling",
    [
        "mysql://u:topsecret@db/app",
        "mssql+pyodbc://u:topsecret@db/app",
        "postgresql://u:topsecret/more@db/app",
        "postgresql://u:12/topsecret@db/app",
        "postgresql://u:12?topsecret@db/app",
        "postgresql://u:topsecret@more@db/app",
        "postgresql://u:topsecret:more@db:port/app",
        "postgresql://u:topsecret@db:99999/app",
        "postgresql://u:p@db/app?sslpassword=topsecret",
        "postgresql:/u:topsecret@db/app",
        "jdbc:postgresql:app?password=topsecret",
        "u:topsecret@db/app",
        "host=db dbname=app password=topsecret user='open",
        "hots=db password=topsecret",
        "dbname=postgresql://u:topsecret@db/app",
        "sqlite://",
        ":memory:",
    ],
)
def test_what_is_no_database_is_refused_without_its_password(bench, spelling):
    bench.write("migrations/1.sql", "CREATE TABLE a (b)")
    for options, payload in (({"databases": {"main": spelling}}, {}), ({}, {"target": spelling})):
        for handler, kind in ((Migrate(), "database.migrate"), (Backup(), "database.backup")):
            with pytest.raises(HandlerError) as caught:
                bench.run(handler, kind, payload, options=options)
            assert caught.value.code == "bad-payload"
            assert "topsecret" not in str(caught.value)


def test_what_a_url_asks_of_the_connection_is_heeded_or_refused(bench):
    async def go(url):
        return find_database(bench.context("t"), Options(databases={"main": url}), None)

    known = asyncio.run(go("postgresql://u@db/app?sslmode=verify-full&connect_timeout=3"))
    assert (known.env["PGSSLMODE"], known.env["PGCONNECT_TIMEOUT"]) == ("verify-full", "3")
    with pytest.raises(HandlerError, match="`sslmod` is not understood"):
        asyncio.run(go("postgresql://u@db/app?sslmod=require"))


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1 \\! touch x",
        "-- $$\n\\! touch x\n-- $$",
        "SELECT foo$$ \\! touch x $$",
        "SELECT $1$ \\! touch x $1$",
        "SELECT '\\' \\! touch x --'",
        "SELECT e'\\'' \\! touch x --'",
        "/* ' */ \\! touch x -- '",
        "SELECT 1; COMMIT; DROP TABLE a",
        "begin",
        "SELECT 1;\nSTART  TRANSACTION;",
        "SELECT 'open",
        "SELECT $a$ open $b$",
        "SET standard_conforming_strings = off;",
        "/* /* */ ' */ \\! touch x '",
        "E'a'\n'b\\'c' \\! touch x '",
        "1E'a\\'b' \\! touch x '",
        "SELECT \xa0$$ \\! touch x $$",
        "SELECT 1a$$ \\! touch x $$",
        "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; COMMIT;",
    ],
)
def test_psql_is_given_nothing_that_leaves_the_transaction(sql):
    assert refused(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO a VALUES ('it''s \\! fine', E'\\'\\n', \"x\"); -- COMMIT; \\!",
        "CREATE FUNCTION f() RETURNS int AS $b$\nBEGIN\n RETURN 1; END; $b$ LANGUAGE plpgsql;",
        "DO $$ BEGIN PERFORM 1; END $$; /* rollback; */ SELECT 'commit';",
        "ALTER TABLE a ADD COLUMN begin_at int; SELECT commit_id FROM a;",
        "/* a /* b */ c */ SELECT E'a'\n'b\\'c', 'd\\', \"e\\\";",
        "CREATE OR REPLACE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE 1 WHEN 1 THEN 2 END; END;",
        "CREATE RULE r AS ON INSERT TO a DO (SELECT 1; SELECT 2); SELECT a[1:2];",
    ],
)
def test_what_stands_in_quotes_is_no_command(sql):
    assert refused(sql) is None


def test_without_pg_dump_it_says_how_to_install_it(bench, monkeypatch):
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if name == "pg_dump" else which(name, **more))
    with pytest.raises(MissingToolError, match="apt-get install"):
        bench.run(Backup(), "database.backup", {"target": "postgresql:///app"})


PSQL = """#!{python}
import os, sys
sql = sys.stdin.read()
open("psql.log", "a").write(os.environ["PGHOST"] + " " + " ".join(sys.argv[1:]) + "\\n" + sql + "\\n===\\n")
print("0" if "pg_tables" in sql else "")
"""


def test_postgresql_is_tried_in_a_transaction_that_is_rolled_back(bench, tmp_path, monkeypatch):
    tool = tmp_path / "bin/psql"
    tool.parent.mkdir()
    tool.write_text(PSQL.format(python=sys.executable))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    body = "CREATE FUNCTION f() RETURNS int AS $$\nBEGIN\n RETURN 1;\nEND $$ LANGUAGE plpgsql;\n"
    bench.write("migrations/1_f.sql", body)
    options = {"databases": {"main": "postgresql://app:secret@db/app"}}
    result = bench.run(Migrate(), "database.migrate", {}, options=options)
    assert (result["applied"], result["version"]) == ([{"version": 1, "file": "1_f.sql"}], 1)
    calls = (bench.workdir / "psql.log").read_text().split("\n===\n")
    assert [call.rstrip().rpartition("\n")[2] for call in calls[1:3]] == ["ROLLBACK;", "COMMIT;"]
    assert "secret" not in "".join(calls)
    bench.write("migrations/2_out.sql", "SELECT 1;\n\\! touch x\n")
    with pytest.raises(HandlerError, match="2_out"):
        bench.run(Migrate(), "database.migrate", {}, options=options)


KILLED = """#!/bin/sh
sql=$(cat)
case "$sql" in *{word}) {end} ;; *pg_tables*) echo 0 ;; esac
"""


@pytest.mark.parametrize(
    ("word", "end", "code"),
    [
        ("COMMIT\\;", "kill -KILL $$", "killed"),
        ("ROLLBACK\\;", "kill -KILL $$", "migration-failed"),
        ("COMMIT\\;", "echo 1; exit 2", "killed"),
        ("COMMIT\\;", "exit 2", "migration-failed"),
        ("COMMIT\\;", "echo 1; exit 3", "migration-failed"),
    ],
)
def test_of_a_psql_that_was_killed_nobody_knows_what_it_did_unless_it_would_have_been_undone(
    bench, tmp_path, monkeypatch, word, end, code
):
    tool = tmp_path / "bin/psql"
    tool.parent.mkdir()
    tool.write_text(KILLED.format(word=word, end=end))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    bench.write("migrations/1_f.sql", "CREATE TABLE a (b int);")
    options = {"databases": {"main": "postgresql://app:secret@db/app"}}
    with pytest.raises(HandlerError) as caught:
        bench.run(Migrate(), "database.migrate", {}, options=options)
    assert caught.value.code == code


@pytest.mark.parametrize(("name", "code"), [("app.db", "killed"), ("copy.db", "migration-failed")])
def test_of_an_alembic_that_was_killed_at_the_real_file_nobody_knows_what_it_did(app, name, code):
    alembic(app)
    killer = f"import os, signal\nif context.config.get_main_option('sqlalchemy.url').endswith('{name}'):\n"
    env = app.workdir / "db/alembic/env.py"
    env.write_text(env.read_text() + killer + "    os.kill(os.getpid(), signal.SIGKILL)\n")
    with pytest.raises(HandlerError, match="signal 9") as caught:
        migrate(app, source="db")
    assert caught.value.code == code


def test_without_the_copy_the_transaction_alone_keeps_the_file_as_it_was(app):
    app.write("migrations/0003_bad.sql", "INSERT INTO nowhere VALUES (1);\n")
    before = dump(app)
    with pytest.raises(HandlerError, match="nowhere"):
        migrations.apply(app.workdir / "app.db", migrations.find(app.workdir / "migrations"), None, "t", lambda: False)
    assert dump(app) == before


def test_a_file_that_is_no_utf8_changes_nothing_and_is_not_held(app):
    (app.workdir / "migrations/0003_latin.sql").write_bytes(b"-- fine\nINSERT INTO notes VALUES ('caf\xe9');\n")
    before = dump(app)
    with pytest.raises(HandlerError, match=r"0003_latin.sql:2: byte 0xe9 is no UTF-8.*nothing was changed") as caught:
        migrate(app)
    assert caught.value.code == "bad-migrations"
    assert dump(app) == before


def test_marks_and_line_ends_of_other_systems_are_no_part_of_the_sql(app):
    (app.workdir / "migrations/0003_dos.sql").write_bytes(b"\xef\xbb\xbfCREATE TABLE d (\r\n  a);\r\nSELECT bad;\r\n")
    with pytest.raises(HandlerError, match=r"0003_dos.sql:3: no such column: bad"):
        migrate(app)
    (app.workdir / "migrations/0003_dos.sql").write_bytes(b"SELECT 1;\n\0")
    with pytest.raises(HandlerError, match=r"0003_dos.sql:2: a NUL"):
        migrate(app)


def test_a_history_of_another_tools_is_left_alone(app):
    with database(app) as connection:
        connection.execute("CREATE TABLE schema_migrations (version TEXT PRIMARY KEY)")
        connection.execute("INSERT INTO schema_migrations VALUES ('20230101_init')")
    before = dump(app)
    with pytest.raises(HandlerError, match=r"another tool's.*`table`.*nothing was changed") as caught:
        migrate(app)
    assert caught.value.code == "foreign-history"
    assert dump(app) == before
    options = {"table": "swarm_migrations"}
    assert app.run(Migrate(), "database.migrate", {"target": "app.db"}, options=options)["version"] == 2


def test_a_locked_database_is_tried_again_later(app):
    options = {"lock_timeout": 0.1}
    with contextlib.closing(sqlite3.connect(app.workdir / "app.db", isolation_level=None)) as other:
        for how in ("IMMEDIATE", "EXCLUSIVE"):
            other.execute(f"BEGIN {how}")
            with pytest.raises(
                HandlerError, match=r"app.db is locked by another program.*nothing was changed"
            ) as caught:
                app.run(Migrate(), "database.migrate", {"target": "app.db"}, options=options)
            assert (caught.value.code, caught.value.retryable) == ("locked", True)
            other.execute("ROLLBACK")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(HandlerError, match="is locked") as caught:
            app.run(Backup(), "database.backup", {"target": "app.db"}, options=options)
        assert caught.value.retryable


def test_errors_name_the_target_not_the_copy(app):
    file = app.workdir / "app.db"
    data = bytearray(file.read_bytes())
    data[4096 + 5 : 4096 + 40] = b"\xff" * 35
    file.write_bytes(data)
    for handler, kind in ((Migrate(), "database.migrate"), (Backup(), "database.backup")):
        with pytest.raises(HandlerError, match=r"app\.db") as caught:
            app.run(handler, kind, {"target": "app.db"})
        assert not re.search("copy.db|restored|partial|swarm-migrate", str(caught.value))


def test_a_file_that_was_to_be_made_is_not_left_empty(bench):
    bench.write("migrations/1.sql", "CREATE TABLE a (b); nonsense;")
    with pytest.raises(HandlerError, match="nothing was changed"):
        migrate(bench, create=True)
    assert not (bench.workdir / "app.db").exists()


def test_backups_of_one_second_stand_side_by_side(app):
    async def go():
        context = app.context("database.backup", {"target": "app.db"})
        return await asyncio.gather(*(Backup().run(context) for _ in range(3)))

    done = asyncio.run(go())
    assert len({row["output"] for row in done}) == 3
    assert {row["sha256"] for row in done} == {done[0]["sha256"]}
    assert len(list((app.workdir / "backups").iterdir())) == 3


_PIECES = [
    "CREATE ",
    "TRIGGER ",
    "TEMP ",
    "END",
    ";",
    " ",
    "\n",
    "EXPLAIN ",
    "x",
    "'a;'",
    '"b;"',
    "[c;]",
    "--d;\n",
    "/*;*/",
    "`;`",
]


@given(st.lists(st.sampled_from(_PIECES), max_size=25))
def test_statements_end_where_sqlite_says(pieces):
    """A statement is whole, and none of its parts that ends in a semicolon was whole before."""
    sql = "".join(pieces)
    found = list(statements(sql))
    assert all(sqlite3.complete_statement(text) for _, text in found[:-1]), "only the last may be unfinished"
    for line, text in found:
        assert sql.split("\n")[line - 1].strip(), "it begins on a line with something on it"
        ends = [place + 1 for place, sign in enumerate(text[:-1]) if sign == ";"]
        bare = re.compile(r"(?:\s|--[^\n]*\n|/\*.*?\*/|;)*", re.DOTALL)
        assert not [end for end in ends if sqlite3.complete_statement(text[:end]) and not bare.fullmatch(text[:end])]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '" + ";" * 400_000,
        "CREATE TRIGGER t BEGIN " + "SELECT 1;" * 60_000,
        "INSERT INTO a VALUES (1);\n" * 40_000,
        "/*" * 200_000,
        "-- ;\n" * 100_000,
        "$a$ $b$ " * 50_000,
    ],
    ids=["string", "trigger", "inserts", "comment", "comments", "dollars"],
)
def test_long_scripts_are_read_in_linear_time(sql):
    begun = time.process_time()
    list(statements(sql))
    refused(sql)
    # A pass takes half a second at most here; what looks again for each semicolon takes minutes.
    assert time.process_time() - begun < 8
