"""Files of results go when their tasks are forgotten, and nothing else does."""

import os
from pathlib import Path

import pytest

from swarm_tui.domain.dispatch import Job
from swarm_tui.domain.states import TaskState
from swarm_tui.journal.dispatch import Journal
from swarm_tui.journal.results import TaskFiles
from swarm_tui.protocol.bodies import Task

NOW = 1.7e9
HOUR, DAY = 3600.0, 86400.0


def file(folder: Path, name: str, age: float) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text("{}")
    os.utime(path, (NOW - age, NOW - age))
    return path


def job(task_id: str, age: float) -> Job:
    return Job(
        task=Task(task_id=task_id, type="noop"), digest="", seq=1, created_at=NOW - age,
        updated_at=NOW - age, state=TaskState.COMPLETE, ended_at=NOW - age,
    )  # fmt: skip


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_result_goes_with_its_task(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "dispatch.db")
    journal.commit([job("old", 8 * DAY), job("young", 6 * DAY), job(".dot", 6 * DAY)], [])
    results = tmp_path / "results"
    file(results, ".dot-1.json", 8 * DAY)
    file(results, "..dot-1.json.k3x_9abc", 8 * DAY)
    file(results, "old-1.json", 8 * DAY)
    file(results, "old-2.json", 8 * DAY)
    file(results, ".old-3.json.k3x_9abc", 8 * DAY)
    file(results, "young-1.json", 8 * DAY)
    file(results, "leaderless-0.json", 6 * DAY)
    assert journal.prune(NOW) == 4
    assert left(results) == {"young-1.json", "leaderless-0.json", ".dot-1.json", "..dot-1.json.k3x_9abc"}
    journal.close()


def test_results_of_tasks_that_were_too_many_go_too(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "dispatch.db")
    journal.commit([job(f"t{n}", HOUR * (10 - n)) for n in range(10)], [])
    results = tmp_path / "results"
    for n in range(10):
        file(results, f"t{n}-1.json", HOUR * (10 - n))
    assert journal.prune(NOW, keep=4) == 12
    assert left(results) == {f"t{n}-1.json" for n in range(6, 10)}
    journal.close()


def test_what_is_younger_than_an_hour_or_no_file_or_no_result_stays(tmp_path: Path) -> None:
    outside = file(tmp_path / "elsewhere", "precious-1.json", 99 * DAY)
    results = tmp_path / "results"
    file(results, "new-1.json", HOUR - 1)
    file(results, "README", 99 * DAY)
    file(results, "no number.json", 99 * DAY)
    (results / "link-1.json").symlink_to(outside)
    os.utime(results / "link-1.json", (1.0, 1.0), follow_symlinks=False)
    (results / "folder-1.json").mkdir()
    os.utime(results / "folder-1.json", (1.0, 1.0))
    before = left(results)
    assert TaskFiles(results).sweep(NOW, NOW, lambda _: False, at_once=100) == 0
    assert left(results) == before
    assert outside.exists()


def test_a_folder_that_is_a_link_or_missing_is_left(tmp_path: Path) -> None:
    path = file(tmp_path / "elsewhere", "t-1.json", 99 * DAY)
    (tmp_path / "results").symlink_to(path.parent)
    for folder in (tmp_path / "results", tmp_path / "none"):
        assert TaskFiles(folder).sweep(NOW, NOW, lambda _: False, at_once=100) == 0
    assert path.exists()


@pytest.mark.parametrize("at_once", [1, 3, 7])
def test_each_call_looks_at_so_many_and_the_next_goes_on(tmp_path: Path, at_once: int) -> None:
    results = tmp_path / "results"
    for n in range(7):
        file(results, f"t{n}-1.json", DAY)
    looked: list[str] = []

    def known(task_id: str) -> bool:
        looked.append(task_id)
        return task_id == "t3"

    swept = TaskFiles(results)
    removed = [swept.sweep(NOW, NOW, known, at_once=at_once) for _ in range(7)]
    assert max(removed) <= at_once
    assert left(results) == {"t3-1.json"}
    assert set(looked) == {f"t{n}" for n in range(7)}
