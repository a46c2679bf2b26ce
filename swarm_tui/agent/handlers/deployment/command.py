"""Deploys by commands that the layout gives, and remembers here what they made live."""

import contextlib
from collections.abc import AsyncIterator

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.deployment.health import fill
from swarm_tui.agent.handlers.deployment.release_log import ReleaseLog
from swarm_tui.agent.handlers.deployment.target import Job, run_step
from swarm_tui.agent.handlers.inputs import inside


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
        """Return the version that was deployed last from here."""
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
        """Return the version to go back to. Raises HandlerError (`no-release`)."""
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
