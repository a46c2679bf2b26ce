"""Deploys into a folder of releases on this machine, one of which a symlink names as the current one."""

import asyncio
import contextlib
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.deployment.command import run_step
from swarm_tui.agent.handlers.deployment.release import CURRENT, Releases
from swarm_tui.agent.handlers.deployment.target import Job
from swarm_tui.agent.handlers.files import project_files
from swarm_tui.agent.handlers.inputs import inside


class Directory:
    """The `directory` target."""

    def __init__(self, job: Job) -> None:
        self._job = job
        root = job.context.workdir / Path(job.options.path).expanduser() / job.service
        self._releases = Releases(root)
        self._source = job.context.workdir
        self._files: list[str] = []
        self._stopped = False
        job.path = str(root / CURRENT)

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Keep others from deploying the service. Raises HandlerError (`busy`)."""
        with self._releases.locked():
            yield

    async def live(self) -> str | None:
        """The version that `current` names."""
        return self._releases.live()

    async def preflight(self) -> None:
        """Raise HandlerError (`preflight`): no files to publish, or no room for them."""
        job = self._job
        if job.source is not None:
            self._source = inside(job.context.workdir, job.source, what="source")
        await run_step(job, job.options.build, "build", cwd=self._folder())
        await run_step(job, job.options.preflight, "preflight", cwd=self._folder())
        self._files = await self._list()
        if not self._files:
            raise HandlerError(f"source: {self._source} holds no files to publish", code="preflight")
        size = sum((self._folder() / name).lstat().st_size for name in self._files)
        free = shutil.disk_usage(self._releases.root).free
        if size * 1.1 + 1_000_000 > free:
            raise HandlerError(f"{size} bytes to publish, {free} free in {self._releases.root}", code="preflight")

    async def publish(self) -> str | None:
        """Copy the files into a release of their own, then switch to it."""
        job = self._job
        try:
            await asyncio.to_thread(self._releases.add, job.version, self._folder(), self._files, self._is_stopped)
        except asyncio.CancelledError:
            self._stopped = True
            raise
        return await self.publish_again()

    async def publish_again(self) -> str | None:
        """Switch to the release; one step, before which a cancel still leaves the old one live."""
        if self._is_stopped():
            raise HandlerError("cancelled before it went live", code="cancelled")
        self._releases.switch(self._job.version)
        return self._job.options.url or str(self._releases.root / CURRENT)

    async def older(self, wanted: str | None) -> str:
        """The version to go back to. Raises HandlerError (`no-release`)."""
        version = wanted or self._releases.before(self._releases.live())
        if version is None or not self._releases.has(version):
            there = ", ".join(self._releases.versions()) or "none"
            raise HandlerError(f"no release {wanted or 'to go back to'}; there are: {there}", code="no-release")
        return version

    async def restore(self) -> None:
        """Switch back to what was live."""
        if self._releases.live() != self._job.previous or self._job.previous is None:
            self._releases.switch(self._job.previous)

    async def settled(self) -> None:
        """Note the version as healthy, and delete the oldest releases."""
        job = self._job
        self._releases.record(job.version, time.time(), job.context.task_id)
        gone = await asyncio.to_thread(self._releases.prune, job.options.keep, {job.version, job.previous})
        if gone:
            job.context.log(f"deleted old releases: {', '.join(gone)}")

    def _is_stopped(self) -> bool:
        return self._stopped or self._job.context.cancel.is_set()

    def _folder(self) -> Path:
        return self._source if self._source.is_dir() else self._source.parent

    async def _list(self) -> list[str]:
        """Return what to publish: all of a source that was named; of the workdir itself, what git would know."""
        if self._source.is_file():
            return [self._source.name]
        named = self._job.source is not None
        files = _walk(self._source) if named else await project_files(self._job.context, self._source)
        own = os.path.relpath(self._releases.root.parent.resolve(), self._source.resolve())
        return [name for name in files if own == "." or not name.startswith(f"{own}/")]


def _walk(folder: Path) -> list[str]:
    """All files, and the links that stay within. Raises HandlerError (`preflight`) for a link that leads out."""
    found = []
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        for name in [*files, *(name for name in folders if os.path.islink(os.path.join(root, name)))]:
            path = Path(root, name)
            if path.is_symlink() and not path.resolve().is_relative_to(folder.resolve()):
                raise HandlerError(f"source: {path} leads out of {folder}", code="preflight")
            if path.is_symlink() or path.is_file():
                found.append(path.relative_to(folder).as_posix())
    return sorted(found)
