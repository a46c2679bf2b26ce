"""Finds the database that a task means: an SQLite file within the workdir, or a PostgreSQL server."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import parse_qsl, unquote

from msgspec import Meta, Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.inputs import inside
from swarm_tui.config.home import at_home

#: What a URL or a DSN may say, by libpq's keywords, and the variable by which psql and pg_dump hear it.
_KEYWORDS = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "dbname": "PGDATABASE",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "passfile": "PGPASSFILE",
    "service": "PGSERVICE",
    "options": "PGOPTIONS",
    "application_name": "PGAPPNAME",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
    "load_balance_hosts": "PGLOADBALANCEHOSTS",
    "channel_binding": "PGCHANNELBINDING",
    "require_auth": "PGREQUIREAUTH",
    "requirepeer": "PGREQUIREPEER",
    "sslmode": "PGSSLMODE",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcrl": "PGSSLCRL",
    "sslcrldir": "PGSSLCRLDIR",
    "sslsni": "PGSSLSNI",
    "ssl_min_protocol_version": "PGSSLMINPROTOCOLVERSION",
    "ssl_max_protocol_version": "PGSSLMAXPROTOCOLVERSION",
    "gssencmode": "PGGSSENCMODE",
    "krbsrvname": "PGKRBSRVNAME",
    "gsslib": "PGGSSLIB",
}
#: Without a variable of their own, and nothing that guards the connection: they may be left out.
_LEFT_OUT = frozenset(
    {
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("client_encoding", "fallback_application_name"),
    }
)
_POSTGRES = frozenset({"postgresql", "postgres", "pgsql", "psql", "postgis"})
_SQLITE = frozenset({"sqlite", "sqlite3"})
_URL = re.compile(r"(?:jdbc:)?([a-z][a-z0-9.-]*)(?:\+([a-z0-9_.-]+))?://(.*)", re.IGNORECASE | re.DOTALL)
_PAIR = re.compile(r"\s*(\w+)\s*=\s*(?:'((?:[^'\\]|\\.)*)'|((?:[^\s'\\]|\\.)*))(?=\s|$)", re.DOTALL)
#: What may hold a password, and is no URL or DSN that can be read.
_SECRET = re.compile(r"(?:password|passwd|pwd|user|host|dbname)\s*=|^jdbc:|:.*@", re.IGNORECASE)
_ENCODE = "in a password write @ as %40, / as %2F, ? as %3F, : as %3A"


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options: `databases` by name, each an SQLite path, a URL or a DSN; passwords as ${VAR}."""

    databases: dict[str, str] = {}
    source: str = "migrations"
    backups: str = "backups"
    table: Annotated[str, Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,62}$")] = "schema_migrations"
    """Where numbered SQL notes what was applied; another name where another tool keeps a table of this one."""
    lock_timeout: Annotated[float, Meta(ge=0.1, le=86_400)] = 15.0
    """Seconds to wait for others' locks; the task then fails, has changed nothing, and is tried again."""


class Postgres(Struct, frozen=True, kw_only=True):
    """A server, as the variables that its tools read: a password never enters a command line."""

    name: str
    env: dict[str, str]
    driver: str | None = None
    """The Python driver that a URL names, such as `psycopg`."""


def find_database(context: Context, options: Options, target: str | None) -> Path | Postgres:
    """Return the database that a payload's `target` names, or the layout's first.

    Raises HandlerError (`bad-payload`, `outside`), which never quotes what may hold a password.
    """
    if target is None and not options.databases:
        raise HandlerError("target: which database? Give an SQLite file within the workdir", code="bad-payload")
    name = target if target is not None else next(iter(options.databases))
    given = options.databases.get(name)
    if given is not None:
        found = _read(f"databases.{name} of the layout", given.strip())
        return context.workdir / found if isinstance(found, Path) else found
    found = _read("target", name.strip())
    if isinstance(found, Path):
        return inside(context.workdir, str(found), what="target", must_exist=False)
    if "PGPASSWORD" in found.env:
        message = "target: a password in a task is there for all to read: name the database in the layout's options"
        raise HandlerError(message, code="bad-payload")
    return found


def _read(where: str, text: str) -> Path | Postgres:
    if match := _URL.fullmatch(text):
        scheme, driver, rest = match[1].lower(), match[2], match[3]
        if scheme in _POSTGRES:
            return _postgres(where, _url_settings(where, rest), driver and driver.lower())
        if scheme in _SQLITE:
            return _sqlite(where, rest.partition("?")[0].removeprefix("/"))
        raise HandlerError(f"{where}: no {scheme} databases, only SQLite and PostgreSQL", code="bad-payload")
    if (match := _PAIR.match(text)) and (match[1].lower() in _KEYWORDS.keys() | _LEFT_OUT or _SECRET.search(text)):
        return _postgres(where, _dsn_settings(where, text), None)
    if _SECRET.search(text):
        raise HandlerError(
            f"{where}: this is no path, and no URL of a database: write postgresql://USER:PASSWORD@HOST/NAME",
            code="bad-payload",
        )
    return _sqlite(where, text.removeprefix("file:"))


def _sqlite(where: str, path: str) -> Path:
    if path in ("", ":memory:"):
        raise HandlerError(f"{where}: a database in memory is gone with the task: name a file", code="bad-payload")
    return at_home(path)


def _url_settings(where: str, rest: str) -> list[tuple[str, str]]:
    """Return what stands behind the `://`, as libpq's keywords."""
    before, _, query = rest.partition("?")
    authority, _, path = before.partition("/")
    login, at, hosts = authority.rpartition("@")
    if "@" in login or "@" in path or (query and any("=" not in part for part in query.split("&"))):
        raise HandlerError(f"{where}: no URL of a database that can be read for sure: {_ENCODE}", code="bad-payload")
    user, colon, password = login.partition(":")
    found = [("user", unquote(user))] if at else []
    found += [("password", unquote(password))] if colon else []
    places = [_place(where, host) for host in hosts.split(",")] if hosts else []
    if places:
        found.append(("host", ",".join(host for host, _ in places)))
        if any(port for _, port in places):
            found.append(("port", ",".join(port or "5432" for _, port in places)))
    found.append(("dbname", unquote(path)))
    return found + parse_qsl(query, keep_blank_values=True)


def _place(where: str, text: str) -> tuple[str, str]:
    match = re.fullmatch(r"(?:\[([^\]]*)\]|([^:\[\]]*))(?::([0-9]{0,5}))?", text)
    if match is None or int(match[3] or 0) > 65535:
        raise HandlerError(f"{where}: the host and port of the URL cannot be read: {_ENCODE}", code="bad-payload")
    return unquote(match[1] or match[2] or ""), match[3] or ""


def _dsn_settings(where: str, text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while text[place:].strip():
        match = _PAIR.match(text, place)
        if match is None:
            message = f"{where}: no key=value DSN that can be read: quote a value with spaces as 'a b'"
            raise HandlerError(message, code="bad-payload")
        found.append((match[1], re.sub(r"\\(.)", r"\1", match[2] if match[2] is not None else match[3])))
        place = match.end()
    return found


def _postgres(where: str, settings: list[tuple[str, str]], driver: str | None) -> Postgres:
    env: dict[str, str] = {}
    for given, value in settings:
        key = given.lower()
        if key == "ssl":
            key, value = "sslmode", "require" if value.lower() == "true" else value
        if key in _LEFT_OUT:
            continue
        # One that were left out in silence could be the one that asks for TLS.
        if key not in _KEYWORDS:
            message = f"{where}: `{given[:40]}` is not understood; there are: {', '.join(_KEYWORDS)}"
            raise HandlerError(message, code="bad-payload")
        if "\0" in value or (key == "dbname" and ("://" in value or "=" in value)):
            raise HandlerError(f"{where}: the value of `{key}` is not one", code="bad-payload")
        if value:
            env[_KEYWORDS[key]] = value
    place = env.get("PGHOST") or env.get("PGHOSTADDR") or env.get("PGSERVICE") or "local"
    return Postgres(name=f"{place}/{env.get('PGDATABASE', '')}", env=env, driver=driver)
