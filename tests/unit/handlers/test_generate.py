"""code.generate works in a worktree of its own, and throws no work away."""

import json
import os
import sys

import pytest

from swarm_tui.agent.handlers.base import HandlerError, ResumePoint
from swarm_tui.agent.handlers.models.generate import Generate

WRITER = {
    "argv": [sys.executable, "-c", "exec(open(0).read())"],
    "modes": {"edit": []},
}


def generate(bench, code, task_id="t-1", **payload):
    options = {"cli": "writer", "clis": {"writer": WRITER}, "keep": 3}
    return bench.run(Generate(), "code.generate", {"prompt": code, **payload}, options=options, task_id=task_id)


@pytest.fixture
def repo(bench):
    bench.write("app.py", "x = 1\n")
    bench.commit()
    bench.write("mine.txt", "not committed\n")
    return bench


def test_the_work_is_on_a_branch_and_the_users_tree_is_as_it_was(repo):
    before = (repo.git("status", "--porcelain"), repo.git("rev-parse", "HEAD"), repo.git("branch", "--show-current"))
    result = generate(repo, "open('new.py','w').write('y = 2\\n'); open('app.py','a').write('z = 3\\n')")
    assert (result["branch"], sorted(result["files"])) == ("swarm/t-1", ["app.py", "new.py"])
    assert "2 files changed, 2 insertions(+)" in result["diffstat"]
    assert result["path"].startswith(str(repo.state / "worktrees"))
    assert repo.git("show", "swarm/t-1:new.py") == "y = 2"
    after = (repo.git("status", "--porcelain"), repo.git("rev-parse", "HEAD"), repo.git("branch", "--show-current"))
    assert after == before
    assert not (repo.workdir / "new.py").exists()
    assert generate(repo, "open('new.py','w')")["branch"] == "swarm/t-1-2"


def test_what_python_compiles_beside_a_source_is_no_work(repo):
    cache = "import os; os.makedirs('pkg/__pycache__'); open('pkg/__pycache__/a.pyc','w').write('x'); "
    assert generate(repo, cache + "open('pkg/a.py','w').write('y = 2')")["files"] == ["pkg/a.py"]
    with pytest.raises(HandlerError, match="nothing was written"):
        generate(repo, cache)


def test_nothing_written_leaves_nothing(repo):
    with pytest.raises(HandlerError, match="nothing was written") as caught:
        generate(repo, "print('no')")
    assert caught.value.code == "nothing-written"
    assert [path.name for path in (repo.state / "worktrees").iterdir()] == [".lock"], "that is all tasks' together"
    assert repo.git("branch", "--list", "swarm/*") == ""


def test_a_failure_keeps_what_was_written(repo):
    with pytest.raises(HandlerError, match="exit status 3") as caught:
        generate(repo, "open('half.py','w').write('x'); import sys; sys.exit(3)")
    folder = caught.value.result["path"]
    assert os.path.exists(f"{folder}/half.py")
    for number in range(5):
        generate(repo, "open('new.py','w').write('y')", task_id=f"u-{number}")
    left = sorted(path.name for path in (repo.state / "worktrees").iterdir() if path.is_dir())
    assert "t-1" in left, "a dirty worktree is never removed"
    assert len(left) == 4
    assert "u-0" not in left
    assert repo.git("rev-parse", "--verify", "swarm/u-0"), "its branch stays"


def test_new_files_that_the_user_hides_from_status_are_work_too(repo):
    repo.git("config", "status.showUntrackedFiles", "no")
    with pytest.raises(HandlerError, match="exit status 3") as caught:
        generate(repo, "open('half.py','w').write('x'); import sys; sys.exit(3)")
    assert os.path.exists(f"{caught.value.result['path']}/half.py")
    for number in range(5):
        generate(repo, "open('new.py','w').write('y')", task_id=f"u-{number}")
    assert os.path.exists(f"{caught.value.result['path']}/half.py")


def test_hooks_of_the_repository_do_not_run(repo, tmp_path):
    mark = tmp_path / "ran"
    for name in ("post-checkout", "pre-commit", "post-commit"):
        hook = repo.workdir / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    generate(repo, "open('new.py','w').write('y')")
    assert not mark.exists()


def test_without_a_writer_it_says_what_to_configure(repo):
    with pytest.raises(HandlerError, match="cli: claude") as caught:
        repo.run(Generate(), "code.generate", {"prompt": "x"})
    assert caught.value.code == "not-configured"


def test_a_model_writes_whole_files_and_only_within(repo):
    from test_llm import Server, run

    server = Server()
    server.text = json.dumps({"files": [{"path": "pkg/new.py", "content": "y = 2\n"}], "summary": "made it"})
    result = run(repo, server, Generate(), "code.generate", {"prompt": "make it"})
    assert (result["files"], result["text"]) == (["pkg/new.py"], "made it")
    assert "app.py" in server.requests[0][2]["messages"][-1]["content"]
    for path in ("../out.py", "/tmp/out.py", ".git", ".git/config"):
        server.text = json.dumps({"files": [{"path": path, "content": "x"}]})
        with pytest.raises(HandlerError) as caught:
            run(repo, server, Generate(), "code.generate", {"prompt": "make it"})
        assert caught.value.code == "outside"


@pytest.mark.parametrize(("taken", "prefix", "branch"), [("swarm", "swarm/", "swarm-t-1"), ("a", "a/b/", "a-b-t-1")])
def test_a_branch_named_as_the_prefix_is_no_obstacle(repo, taken, prefix, branch):
    repo.git("branch", taken)
    options = {"cli": "writer", "clis": {"writer": WRITER}, "branch_prefix": prefix}
    payload = {"prompt": "open('new.py','w').write('y')"}
    assert repo.run(Generate(), "code.generate", payload, options=options)["branch"] == branch


def test_a_branch_below_its_name_is_no_obstacle(repo):
    repo.git("branch", "swarm/t-1/other")
    assert generate(repo, "open('new.py','w').write('y')")["branch"] == "swarm/t-1-2"


def test_a_repository_without_commits_is_told_what_to_do(bench):
    bench.git("init", "-q", "-b", "main")
    with pytest.raises(HandlerError, match="has no commit yet: make the first one") as caught:
        generate(bench, "open('new.py','w')")
    assert caught.value.code == "no-commit"


def test_a_task_that_goes_on_with_anothers_conversation_has_that_ones_cli(repo):
    class Later(Generate):
        async def run(self, context):
            context.resume = ResumePoint(session="s", cli="writer", task_id="t-0")
            return await super().run(context)

    options = {
        "cli": "nobody",
        "clis": {"writer": WRITER, "nobody": {"argv": ["/nowhere/nobody"], "modes": {"edit": []}}},
    }
    result = repo.run(Later(), "code.generate", {"prompt": "open('new.py','w').write('y')"}, options=options)
    assert result["cli"] == "writer"
