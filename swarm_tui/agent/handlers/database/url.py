"""The database that a task means: an SQLite file within the workdir, or a PostgreSQL server that the layout names."""

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from msgspec import Struct

from swarm_tui.agent.handlers.base import Context, HandlerError
from swarm_tui.agent.handlers.inputs import inside

#: What a URL may say after its `?`, and the variable by which psql and pg_dump hear it.
_SETTINGS = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "application_name": "PGAPPNAME",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


class Options(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The layout's options: `databases` by name, each an SQLite path or a postgresql:// URL, passwords as ${VAR}."""

    databases: dict[str, str] = {}
    source: str = "migrations"
    backups: str = "backups"


class Postgres(Struct, frozen=True, kw_only=True):
    """A server, as the variables that its tools read: a password never enters a command line."""

    name: str
    env: dict[str, str]


def find_database(context: Context, options: Options, target: str | None) -> Path | Postgres:
    """The database that a payload's `target` names, or the layout's first.

    Raises HandlerError (`bad-payload`, `outside`).
    """
    if target is None and not options.databases:
        raise HandlerError("target: which database? Give an SQLite file within the workdir", code="bad-payload")
    name = target if target is not None else next(iter(options.databases))
    given = options.databases.get(name)
    if given is not None and given.startswith(("postgresql://", "postgres://")):
        return _postgres(name, given)
    if given is not None:
        return context.workdir / Path(given.removeprefix("sqlite:///")).expanduser()
    if name.startswith(("postgresql://", "postgres://")):
        if urlsplit(name).password:
            message = "target: a password in a task is there for all to read: name the database in the layout's options"
            raise HandlerError(message, code="bad-payload")
        return _postgres(name, name)
    return inside(context.workdir, name.removeprefix("sqlite:///"), what="target", must_exist=False)


def _postgres(name: str, url: str) -> Postgres:
    try:
        parts = urlsplit(url)
        found = {
            "PGHOST": parts.hostname,
            "PGPORT": str(parts.port) if parts.port else None,
            "PGUSER": unquote(parts.username) if parts.username else None,
            "PGPASSWORD": unquote(parts.password) if parts.password else None,
            "PGDATABASE": unquote(parts.path.lstrip("/")) or None,
        }
    except ValueError as error:
        raise HandlerError(f"target: {name} is no URL of a database", code="bad-payload") from error
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        # One that were left out in silence could be the one that asks for TLS.
        if key not in _SETTINGS:
            message = f"target: `{key}` is not understood; there are: {', '.join(_SETTINGS)}"
            raise HandlerError(message, code="bad-payload")
        found[_SETTINGS[key]] = value
    safe = f"{parts.hostname or 'local'}/{parts.path.lstrip('/')}"
    return Postgres(name=safe, env={key: value for key, value in found.items() if value})
