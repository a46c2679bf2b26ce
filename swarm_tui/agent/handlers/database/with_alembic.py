"""Runs a project's Alembic on a copy of an SQLite file, then on the file itself."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from swarm_tui.agent.handlers.base import Context, HandlerError, MissingToolError
from swarm_tui.agent.handlers.database import sqlite
from swarm_tui.agent.handlers.database.migrate import require
from swarm_tui.agent.handlers.process import run_process

INSTALL = "python -m pip install 'swarm-tui[tools]'"
# Run by the interpreter that has the project's models, in the folder of its alembic.ini.
_SCRIPT = """
import sys
from alembic import command
from alembic.config import Config
# Only now: projects keep their migrations in a folder that is called alembic too.
sys.path.insert(0, "")
ini, url, action, revision = sys.argv[1:5]
config = Config(ini)
config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
command.upgrade(config, revision) if action == "upgrade" else command.current(config)
"""


async def migrate_alembic(
    context: Context, folder: Path, database: Path, revision: str | None, dry_run: bool, create: bool
) -> dict[str, Any]:
    """Upgrade to `revision` (head by default). Raises HandlerError (`migration-failed`), MissingToolError."""
    require(database, create=create and not dry_run)
    before = _version(database)
    with tempfile.TemporaryDirectory(prefix="swarm-migrate-") as scratch:
        probe, trial = Path(scratch) / "probe.db", Path(scratch) / "copy.db"
        await _alembic(context, folder, probe, "current", "")
        # Only an env.py that takes its URL from the configuration can be kept away from the real file.
        if not probe.exists():
            message = "env.py does not use sqlalchemy.url of its configuration: it cannot be tried on a copy"
            raise HandlerError(message, code="bad-migrations")
        sqlite.copy(database, trial, context.cancel.is_set)
        context.progress(35, "migrating the copy")
        await _alembic(context, folder, trial, "upgrade", revision or "head")
        sqlite.prove(trial)
        after = _version(trial)
    if after != before and not dry_run:
        context.progress(70, "migrating")
        await _alembic(context, folder, database, "upgrade", revision or "head", lasting=True)
        after = _version(database)
    applied = [{"version": after, "file": str(folder.name)}] if after != before else []
    return {"kind": "alembic", "applied": applied, "version": after, "previous_version": before}


async def _alembic(
    context: Context, folder: Path, database: Path, action: str, revision: str, *, lasting: bool = False
) -> None:
    """Raises HandlerError: `killed` where it was, and may have changed the database before (`lasting`)."""
    url = f"sqlite:///{database.resolve()}"
    argv = [sys.executable, "-P", "-c", _SCRIPT, str(folder / "alembic.ini"), url, action, revision]
    done = await run_process(context, argv, cwd=folder)
    if "No module named 'alembic'" in done.stderr:
        raise MissingToolError("alembic", INSTALL)
    if done.returncode != 0:
        code = "killed" if done.killed and lasting else "migration-failed"
        raise HandlerError(f"alembic {action}: {done.tail or done.how}", code=code, retryable=code == "killed")


def _version(database: Path) -> str | None:
    with sqlite.opened(database) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name='alembic_version'").fetchone():
            return None
        rows = sorted(str(row[0]) for row in connection.execute("SELECT version_num FROM alembic_version"))
    return ",".join(rows) or None
