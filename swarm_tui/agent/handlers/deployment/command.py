"""Deploys by commands that the layout gives, and remembers here what they made live."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path
from typing import Any

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.deployment.health import fill
from swarm_tui.agent.handlers.deployment.target import Job
from swarm_tui.agent.handlers.inputs import inside
from swarm_tui.agent.handlers.process import Completed, run_process

#: Seconds that a rollback's command may take.
UNDO_TIMEOUT = 120.0
#: The steps that change what is live.
LASTING = frozenset({"publish", "rollback"})


async def run_step(
    job: Job,
    argv: list[str] | None,
    what: str,
    *,
    cwd: Path,
    undo: bool = False,
    install: str = "",
    passed: Sequence[str] = (),
    **env: str,
) -> Completed | None:
    """Run one of a deploy's commands, if there is one.

    Raises HandlerError (`what`) unless it ends with 0; `killed` when a signal ended one that changes what is live.
    """
    if argv is None:
        return None
    done = await run_process(
        job.context,
        [fill(part, job.values()) for part in argv],
        cwd=cwd,
        env=env,
        passed=[*job.options.passed, *passed],
        timeout=UNDO_TIMEOUT if undo else job.options.timeout,
        heed_cancel=not undo,
        install=install,
    )
    if done.returncode != 0:
        code = "killed" if done.killed and what in LASTING else what
        raise HandlerError(
            f"{what}: {argv[0]} ended with {done.how}: {done.tail}", code=code, retryable=code == "killed"
        )
    return done


class ReleaseLog:
    """Versions made live at a target that cannot be asked: a JSON file, the newest last."""

    def __init__(self, state: Path, target: str, service: str) -> None:
        self._path = state / "deployments" / f"{target}-{service}.json"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Raises HandlerError (`busy`) while another deploy of the service runs here."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path.with_suffix(".lock"), "w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise HandlerError("another deploy of the service runs", code="busy", retryable=True) from error
            yield

    def rows(self) -> list[dict[str, Any]]:
        """Each `version`, `id` and `at`; nothing when the file cannot be read."""
        try:
            rows = json.loads(self._path.read_text())
            return [row for row in rows if isinstance(row, dict) and "version" in row]
        except (OSError, ValueError, TypeError):
            return []

    def add(self, version: str, known_as: str | None) -> None:
        rows = [*self.rows(), {"version": version, "id": known_as, "at": time.time()}][-100:]
        draft = self._path.with_suffix(".new")
        draft.write_text(json.dumps(rows))
        os.replace(draft, self._path)

    def live(self) -> str | None:
        rows = self.rows()
        return str(rows[-1]["version"]) if rows else None

    def before(self, version: str | None) -> str | None:
        """The version that was live before `version`."""
        return next((str(row["version"]) for row in reversed(self.rows()) if row["version"] != version), None)

    def known_as(self, version: str | None) -> str | None:
        """The target's own name for a version."""
        return next((row.get("id") for row in reversed(self.rows()) if row["version"] == version), None)


class Command:
    """The `command` target: `publish`, and `rollback` to a version, are the layout's own argv."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._ledger = ReleaseLog(job.context.state_dir, job.target_name, job.service)
        self._source = inside(job.context.workdir, job.source, what="source") if job.source else job.context.workdir

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep others from deploying the service. Raises HandlerError (`busy`)."""
        with self._ledger.locked():
            yield

    async def live(self) -> str | None:
        """The version that was deployed last from here."""
        return self._ledger.live()

    async def preflight(self) -> None:
        """Run the layout's build and preflight. Raises HandlerError."""
        if self._job.options.publish is None:
            raise HandlerError("the layout's command target has no `publish`", code="bad-options")
        await run_step(self._job, self._job.options.build, "build", cwd=self._source)
        await run_step(self._job, self._job.options.preflight, "preflight", cwd=self._source)

    async def publish(self) -> str | None:
        """Run the layout's `publish`."""
        await run_step(self._job, self._job.options.publish, "publish", cwd=self._source)
        return self._url()

    async def older(self, wanted: str | None) -> str:
        """The version to go back to. Raises HandlerError (`no-release`)."""
        version = wanted or self._ledger.before(self._ledger.live())
        if version is None:
            raise HandlerError("no version was deployed before this one: name it", code="no-release")
        return version

    async def publish_again(self) -> str | None:
        """Run the layout's `rollback` with the older version as {previous_version}."""
        await self._back_to(self._job.version, undo=False)
        return self._url()

    async def restore(self) -> None:
        """Run the layout's `rollback`. Raises HandlerError when there is none, or nothing to go back to."""
        if self._job.previous is None:
            raise HandlerError("nothing was deployed from here before", code="no-release")
        await self._back_to(self._job.previous, undo=True)

    async def settled(self) -> None:
        """Remember the version as live."""
        self._ledger.add(self._job.version, None)

    async def _back_to(self, version: str, *, undo: bool) -> None:
        argv = self._job.options.rollback
        if argv is None:
            raise HandlerError("the layout's command target has no `rollback`", code="bad-options")
        filled = [part.replace("{previous_version}", version) for part in argv]
        await run_step(self._job, filled, "rollback", cwd=self._source, undo=undo)

    def _url(self) -> str | None:
        return fill(self._job.options.url, self._job.values()) if self._job.options.url else None
