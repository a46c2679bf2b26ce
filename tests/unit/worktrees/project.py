"""A repository with worktrees of tasks, as `code.generate` makes them."""

import os
import subprocess
from pathlib import Path

from swarm_tui.worktrees import records

ENVIRONMENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_AUTHOR_NAME": "t",
    "GIT_AUTHOR_EMAIL": "t@example.invalid",
    "GIT_COMMITTER_NAME": "t",
    "GIT_COMMITTER_EMAIL": "t@example.invalid",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ALLOW_PROTOCOL": "file",
}


class Project:
    """`repo` is the user's, on `main`; `root` the swarm's state folder."""

    def __init__(self, folder: Path) -> None:
        self.repo, self.root = folder / "repo", folder / "state"
        self.repo.mkdir()
        self.root.mkdir()
        self.git("init", "-q", "-b", "main")
        self.write("a.py", "".join(f"x{n} = {n}\n" for n in range(50)))
        self.base = self.commit("first")

    def git(self, *argv: str, cwd: Path | None = None) -> str:
        done = subprocess.run(
            ["git", *argv], cwd=cwd or self.repo, env=ENVIRONMENT, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def write(self, name: str, text: str, cwd: Path | None = None) -> None:
        path = (cwd or self.repo) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, subject: str, cwd: Path | None = None) -> str:
        self.git("add", "--all", cwd=cwd)
        self.git("commit", "-q", "--allow-empty", "-m", subject, cwd=cwd)
        return self.git("rev-parse", "HEAD", cwd=cwd)

    def worktree(self, task_id: str, base: str = "main") -> Path:
        """A worktree in which the task works, from `base`."""
        folder = self.root / "worktrees" / task_id
        self.git("worktree", "add", "-q", "-b", f"swarm/{task_id}", str(folder), base)
        start = self.git("rev-parse", base)
        records.keep(self.root, records.made(task_id, self.repo, folder, f"swarm/{task_id}", start, "main"))
        return folder

    def change_line(self, folder: Path, number: int, text: str) -> None:
        """Change one line of `a.py` in a worktree."""
        lines = (folder / "a.py").read_text().splitlines(keepends=True)
        lines[number] = f"{text}\n"
        (folder / "a.py").write_text("".join(lines))
