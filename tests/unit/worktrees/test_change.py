"""A task's change is read as it is, whatever lies in its worktree, and nothing of it is changed by that."""

import os
import shutil
from pathlib import Path

import msgspec
import pytest

from swarm_tui.config import sandbox
from swarm_tui.protocol.pages import over
from swarm_tui.worktrees import change as change_module
from swarm_tui.worktrees import git as git_module
from swarm_tui.worktrees import records
from swarm_tui.worktrees.change import Change, read_change
from swarm_tui.worktrees.rows import answer, change_of
from tests.unit.worktrees.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def read(project: Project, task_id: str = "t", **more: object) -> Change:
    found = read_change(project.root, task_id, **more)  # type: ignore[arg-type]
    assert found is not None
    return found


def told(change: Change) -> dict[str, tuple[str, int | None, int | None, str]]:
    return {file.path: (file.kind, file.added, file.removed, file.note) for file in change.files}


def test_it_shows_commits_what_is_not_committed_and_new_files_and_changes_nothing(project: Project) -> None:
    folder = project.worktree("t")
    project.change_line(folder, 3, "y = 0")
    project.commit("one", cwd=folder)
    project.change_line(folder, 30, "z = 0")
    project.write("sub/new ü.txt", "new\n", cwd=folder)
    (folder / "b.bin").write_bytes(b"\0\1\2")
    (folder / "link").symlink_to("a.py")
    before = project.git("status", "--porcelain", cwd=folder)
    change = read(project)
    assert project.git("status", "--porcelain", cwd=folder) == before
    assert told(change) == {
        "a.py": ("changed", 2, 2, ""),
        "b.bin": ("added", None, None, "binary"),
        "link": ("added", 1, 0, "a link"),
        "sub/new ü.txt": ("added", 1, 0, ""),
    }
    assert (change.added, change.removed, change.uncommitted, change.target) == (4, 2, 4, "main")
    a = change.files[0]
    assert [line for line in a.lines if line[0] in "+-"] == ["-x3 = 3", "+y = 0", "-x30 = 30", "+z = 0"]


@pytest.mark.skipif(bool(sandbox.why_not()), reason=sandbox.why_not() or "there")
@pytest.mark.parametrize("sandboxed", [True, False])
def test_what_a_sandboxed_program_left_for_git_to_run_does_not_leave_the_sandbox(
    project: Project, sandboxed: bool
) -> None:
    folder, ran = project.worktree("t"), project.root / "ran"
    found = records.find(project.root, "t")
    assert found is not None
    records.keep(project.root, msgspec.structs.replace(found, sandboxed=sandboxed))
    inner = folder / "mod"
    inner.mkdir()
    project.git("init", "-q", cwd=inner)
    project.write("f", "1", cwd=inner)
    project.write(".gitattributes", "* filter=evil", cwd=inner)
    project.commit("inner", cwd=inner)
    project.git("add", "mod", cwd=folder)
    # A submodule's filters are its own: git reads its files to tell whether it was changed.
    project.git("config", "filter.evil.clean", f"touch {ran}; cat", cwd=inner)
    os.utime(inner / "f", (1, 1))
    change = read(project)
    assert [file.path for file in change.files] == ["mod"]
    assert ran.exists() != sandboxed


def test_a_sandbox_that_is_gone_is_told(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.worktree("t")
    found = records.find(project.root, "t")
    assert found is not None
    records.keep(project.root, msgspec.structs.replace(found, sandboxed=True))
    monkeypatch.setattr(git_module, "why_not", lambda: "bubblewrap is not installed")
    change = read(project)
    assert change.state == "gone"
    assert "is read in one alone: bubblewrap is not installed" in change.note


def test_names_and_lines_speak_to_no_terminal(project: Project) -> None:
    folder = project.worktree("t")
    project.write("a\x1b[31m\nb", "x\x1b]0;y\x07\tz\n", cwd=folder)
    change = read(project)
    assert all(c.isprintable() for file in change.files for c in file.path + "".join(file.lines))


def test_a_large_change_is_bounded_and_says_so(project: Project) -> None:
    folder = project.worktree("t")
    project.write("big.txt", "".join(f"{n}\n" for n in range(50_000)), cwd=folder)
    project.write("z.txt", "last\n", cwd=folder)
    change = read(project)
    assert change.added == 50_001
    assert sum(len(file.lines) for file in change.files) == change_module.MOST_LINES
    assert "30,003 lines of the patch are not here" in change.cut
    assert f"git -C {folder} diff" in change.cut


def test_a_submodule_is_named_and_not_read(project: Project, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    project.git("init", "-q", "-b", "main", cwd=inner)
    project.write("f", "1\n", cwd=inner)
    project.commit("inner", cwd=inner)
    folder = project.worktree("t")
    project.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "mod", cwd=folder)
    project.commit("with a submodule", cwd=folder)
    assert told(read(project))["mod"][3].startswith("a submodule, now at ")


def test_pointers_of_lfs_are_told(project: Project) -> None:
    folder = project.worktree("t")
    project.write("big.psd", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", cwd=folder)
    assert "LFS" in told(read(project))["big.psd"][3]


def test_without_its_folder_the_branch_is_shown_and_without_that_it_is_gone(project: Project) -> None:
    folder = project.worktree("t")
    project.change_line(folder, 3, "y = 0")
    project.commit("one", cwd=folder)
    shutil.rmtree(folder)
    change = read(project)
    assert (change.state, list(told(change))) == ("open", ["a.py"])
    assert "is gone: this is what the branch holds" in change.note
    project.git("worktree", "prune")
    project.git("branch", "-D", "swarm/t")
    assert (read(project).state, read(project).files) == ("gone", [])
    shutil.rmtree(project.repo)
    assert "repo is gone" in read(project).note
    assert read_change(project.root, "other") is None


def test_what_the_target_gained_is_no_part_of_the_change(project: Project) -> None:
    folder = project.worktree("t")
    project.change_line(folder, 3, "y = 0")
    project.commit("mine", cwd=folder)
    project.write("theirs.py", "1\n")
    project.commit("theirs")
    assert (read(project).behind, list(told(read(project)))) == (1, ["a.py"])
    project.git("merge", "-q", "--no-edit", "main", cwd=folder)
    assert (read(project).behind, list(told(read(project)))) == (0, ["a.py"])
    project.git("merge", "-q", "--ff-only", "swarm/t")
    assert list(told(read(project))) == ["a.py", "theirs.py"]
    assert "main has all of its commits" in read(project).note


def test_the_same_lines_of_another_open_worktree_are_named(project: Project) -> None:
    mine, theirs, far = (project.worktree(name) for name in ("t", "u", "v"))
    project.change_line(mine, 10, "mine")
    project.change_line(theirs, 10, "theirs")
    project.change_line(far, 40, "far")
    project.commit("theirs", cwd=theirs)
    assert [(one.task_id, one.where) for one in read(project).overlaps] == [("u", ["a.py:11"])]
    record = records.find(project.root, "u")
    assert record is not None
    records.change(project.root, record, discarded=project.base)
    assert read(project).overlaps == []


def test_it_travels_in_rows_that_each_fit_a_reply(project: Project) -> None:
    folder = project.worktree("t")
    project.write("big.txt", "".join(f"{n} {'ä' * (n % 300)}\n" for n in range(5000)), cwd=folder)
    project.write("empty.txt", "", cwd=folder)
    rows = answer(project.root, {"task_id": "t"})
    assert all(over(row) is None for row in rows)
    known = change_of(msgspec.json.decode(msgspec.json.encode(rows)))
    assert known == read(project)
    assert answer(project.root, {"task_id": "nobody"}) == answer(project.root, {}) == []
    assert change_of([{"patch": 1}]) is None
    assert change_of([7, {"change": {}}]) is None
    assert "files" not in rows[0]["change"]
    bare = change_of(answer(project.root, {"task_id": "t", "patch": False}))
    assert bare is not None
    assert not any(file.lines for file in bare.files)


def test_two_ids_of_one_name_have_two_records(project: Project) -> None:
    one = records.made("a.b", project.repo, project.root, "x", "0", "main")
    two = records.made("a:b", project.repo, project.root, "y", "0", "main")
    for record in (one, two):
        records.keep(project.root, record)
    assert (records.find(project.root, "a.b"), records.find(project.root, "a:b")) == (one, two)
    assert records.find(project.root, "a-b") is None
