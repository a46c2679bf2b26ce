"""Deploys a Cloudflare Worker with wrangler, and rolls it back to the version that was live."""

import contextlib
import re
from collections.abc import AsyncIterator

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.deployment.health import fill
from swarm_tui.agent.handlers.deployment.release_log import ReleaseLog
from swarm_tui.agent.handlers.deployment.target import Job, check_name, run_step
from swarm_tui.agent.handlers.inputs import inside
from swarm_tui.agent.handlers.output import as_shown

INSTALL = "npm install --global wrangler"
_VERSION_ID = re.compile(r"Version ID:\s*([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_URL = re.compile(r"https://\S+")
_CREDENTIALS = ["CLOUDFLARE_API_TOKEN", "CLOUDFLARE_ACCOUNT_ID"]


class Wrangler:
    """The `wrangler` target."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._worker = fill(job.options.worker or "{service}", job.values())
        check_name("worker", self._worker)
        # By the Worker's name: two targets of one Worker make live what the other one then finds.
        self._ledger = ReleaseLog(job.context.state_dir, "wrangler", self._worker, older=job.target_name)
        self._source = inside(job.context.workdir, job.source, what="source") if job.source else job.context.workdir
        self._known_as: str | None = None
        self._touched = False

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep others from deploying the Worker from here. Raises HandlerError (`busy`)."""
        with self._ledger.locked():
            yield

    async def live(self) -> str | None:
        """Return the version that was deployed last from here."""
        return self._ledger.live()

    async def preflight(self) -> None:
        """Build the Worker without deploying it. Raises MissingToolError, HandlerError."""
        await run_step(self._job, self._job.options.build, "build", cwd=self._source)
        await self._wrangler("deploy", "--dry-run", *self._name(), what="preflight")

    async def publish(self) -> str | None:
        """Deploy, and note what Cloudflare calls the version."""
        self._touched = True
        try:
            said = await self._wrangler("deploy", *self._name(), what="publish")
        except HandlerError as error:
            # A deploy that wrangler itself refused has changed nothing; one that was stopped may have.
            self._touched = error.code != "publish"
            raise
        found, url = _VERSION_ID.search(said), _URL.search(said)
        self._known_as = found[1] if found else None
        return self._job.options.url or (url[0] if url else None)

    async def older(self, wanted: str | None) -> str:
        """Return the version to go back to. Raises HandlerError (`no-release`)."""
        version = wanted or self._ledger.before(self._ledger.live())
        if version is None or self._ledger.known_as(version) is None:
            raise HandlerError(f"version {wanted or 'before'} was not deployed from here", code="no-release")
        return version

    async def publish_again(self) -> str | None:
        """Roll back to an older version."""
        self._touched = True
        self._known_as = self._ledger.known_as(self._job.version)
        await self._roll_back(self._known_as, undo=False)
        return self._job.options.url

    async def restore(self) -> None:
        """Roll back to what was live; to the last stable version where it was not deployed from here."""
        if self._touched:
            await self._roll_back(self._ledger.known_as(self._job.previous), undo=True)

    async def settled(self) -> None:
        """Remember the version as live."""
        self._ledger.add(self._job.version, self._known_as)

    async def _roll_back(self, version_id: str | None, *, undo: bool) -> None:
        message = f"swarm-tui task {self._job.context.task_id}"
        target = [version_id] if version_id else []
        await self._wrangler(
            "rollback", *target, *self._name(), "--message", message, "--yes", what="rollback", undo=undo
        )

    async def _wrangler(self, *argv: str, what: str, undo: bool = False) -> str:
        quiet = {"CI": "1", "NO_COLOR": "1", "WRANGLER_SEND_METRICS": "false"}
        done = await run_step(
            self._job,
            ["wrangler", *argv],
            what,
            cwd=self._source,
            undo=undo,
            install=INSTALL,
            passed=_CREDENTIALS,
            **quiet,
        )
        return as_shown(done.stdout) if done is not None else ""

    def _name(self) -> list[str]:
        environment = self._job.options.environment
        return ["--name", self._worker, *(["--env", environment] if environment else [])]
