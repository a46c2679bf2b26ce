"""The steps of a merge in real repositories: the user's tree is never touched against his will, nothing is lost."""

import sys
from pathlib import Path

import pytest

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.models.generate import Generate
from swarm_tui.agent.handlers.models.merge import Merge
from swarm_tui.agent.handlers.models.worktree import in_use
from swarm_tui.agent.handlers.testing.run import Run
from swarm_tui.worktrees import records

WRITER = {"argv": [sys.executable, "-c", "exec(open(0).read())"], "modes": {"edit": []}}


@pytest.fixture
def repo(bench):
    bench.write("a.py", "".join(f"x{n} = {n}\n" for n in range(30)))
    bench.commit()
    bench.git("branch", "-M", "main")
    return bench


def wrote(repo, code, task_id="t", **payload):
    options = {"cli": "writer", "clis": {"writer": WRITER}}
    return repo.run(Generate(), "code.generate", {"prompt": code, **payload}, options=options, task_id=task_id)


def line(number, text, file="a.py"):
    """Code that changes one line of a file."""
    return f"l=open({file!r}).read().split('\\n'); l[{number}]={text!r}; open({file!r},'w').write('\\n'.join(l))"


def step(repo, act, task_id="t", **payload):
    payload = {"act": act, "task_id": task_id, **payload}
    return repo.run(Merge(), "code.merge", payload, task_id=f"merge.{act}")


def refused(repo, act, **payload):
    with pytest.raises(HandlerError) as caught:
        step(repo, act, **payload)
    return caught.value.result["why"], str(caught.value)


def land(repo, done):
    return step(repo, "land", into=done["target"], onto=done["onto"], commit=done["commit"], tip=done["tip"])


def clean_up_is_done(repo):
    assert not any((repo.state / "worktrees" / ".at").iterdir())
    assert ".at" not in repo.git("worktree", "list")


def test_work_is_put_on_top_of_the_target_as_it_is_now_and_lands_in_the_users_clean_tree(repo):
    assert wrote(repo, line(3, "y = 1"))["repo"] == str(repo.workdir)
    repo.write("theirs.py", "1\n")
    theirs = repo.commit("theirs")
    repo.write("mine.txt", "not known to git\n")
    done = step(repo, "rebase")
    assert (done["target"], done["onto"], done["files"], done["how"]) == ("main", theirs, ["a.py"], "rebase")
    clean_up_is_done(repo)
    assert repo.git("rev-parse", "main") == theirs
    assert land(repo, done)["commit"] == done["commit"]
    assert repo.git("rev-parse", "main", "HEAD").split() == [done["commit"]] * 2
    assert "y = 1" in (repo.workdir / "a.py").read_text()
    assert repo.git("status", "--porcelain") == "?? mine.txt"
    record = records.find(repo.state, "t")
    assert (record.merged, record.onto) == (done["commit"], theirs)
    assert not (repo.state / "worktrees" / "t").exists()
    assert repo.git("rev-parse", "swarm/t") == done["commit"]
    assert repo.git("log", "-1", "--format=%s", "refs/swarm/merged/swarm-t")
    assert land(repo, done)["commit"] == done["commit"], "said twice, it is done once"


@pytest.mark.parametrize("spoil", ["change", "stage", "elsewhere", "middle", "collide", "ignored"])
def test_a_tree_with_changes_of_its_own_is_not_touched(repo, spoil):
    repo.write("other.py", "1\n")
    repo.write(".gitignore", "ignored.py\n" if spoil == "ignored" else "")
    repo.commit()
    if spoil == "ignored":
        # What git does not look at is the user's all the same.
        wrote(repo, "open('.gitignore','w').close(); open('ignored.py','w').write('n\\n')")
        repo.write("ignored.py", "the user's own\n")
    else:
        wrote(repo, f"{line(3, 'y = 1')}; open('new.py','w').write('n\\n')")
    done = step(repo, "rebase")
    if spoil == "elsewhere":
        # git itself would move the tree along under it.
        repo.write("other.py", "mine\n")
    elif spoil == "collide":
        repo.write("new.py", "the user's own\n")
    elif spoil == "ignored":
        pass
    elif spoil == "middle":
        repo.git("update-ref", "CHERRY_PICK_HEAD", "HEAD")
    else:
        repo.write("a.py", "mine\n")
        if spoil == "stage":
            repo.git("add", "a.py")
    before = (repo.git("status", "--porcelain"), repo.git("rev-parse", "main"), (repo.workdir / "a.py").read_text())
    why, words = refused(repo, "land", into="main", onto=done["onto"], commit=done["commit"], tip=done["tip"])
    assert (why, str(repo.workdir) in words) == ("dirty", True)
    assert (repo.git("status", "--porcelain"), repo.git("rev-parse", "main")) == before[:2]
    assert (repo.workdir / "a.py").read_text() == before[2]
    if spoil in ("collide", "ignored"):
        assert (repo.workdir / f"{'new' if spoil == 'collide' else spoil}.py").read_text() == "the user's own\n"


def test_a_target_that_nobody_has_checked_out_is_moved_and_one_that_moved_is_told(repo):
    wrote(repo, line(3, "y = 1"))
    done = step(repo, "rebase")
    repo.git("checkout", "-q", "-b", "elsewhere")
    repo.write("a.py", "dirty\n")
    assert land(repo, done)["message"] == f"main is at {done['commit'][:12]}"
    wrote(repo, line(5, "z = 1"), task_id="u", base="main")
    other = step(repo, "rebase", task_id="u")
    repo.git("update-ref", "refs/heads/main", "elsewhere")
    assert refused(repo, "land", task_id="u", into="main", onto=other["onto"], commit=other["commit"])[0] == "moved"


def test_conflicts_name_the_files_and_the_commits_they_are_with(repo):
    wrote(repo, line(3, "mine"))
    repo.write("a.py", (repo.workdir / "a.py").read_text().replace("x3 = 3", "theirs"))
    repo.commit("their great work")
    why, words = refused(repo, "rebase")
    assert (why, "a.py" in words, "their great work" in words) == ("conflict", True, True)
    clean_up_is_done(repo)


def test_the_agent_resolves_conflicts_in_its_worktree_and_what_it_made_lands(repo):
    wrote(repo, line(3, "mine"))
    repo.write("a.py", (repo.workdir / "a.py").read_text().replace("x3 = 3", "theirs"))
    repo.commit("theirs")
    with pytest.raises(HandlerError, match=r"conflict marks are left in a\.py"):
        wrote(repo, "open('b.py','w').write('1')", task_id="fix1", resume="t", onto="main")
    both = "t=open('a.py').read(); b,_,r=t.partition('<<<<<<< '); m,_,e=r.partition('>>>>>>> '); "
    both += "open('a.py','w').write(b+'both\\n'+e.partition('\\n')[2])"
    result = wrote(repo, both, task_id="fix2", resume="t", onto="main")
    assert (result["branch"], sorted(result["files"])) == ("swarm/t", ["a.py", "b.py"])
    done = step(repo, "rebase", task_id="fix2")
    assert done["how"] == "squash"
    land(repo, done)
    assert "both" in (repo.workdir / "a.py").read_text()
    assert records.find(repo.state, "t").merged == done["commit"]
    assert refused(repo, "rebase")[0] == "merged"


def test_an_agent_that_changes_nothing_has_mended_nothing(repo):
    wrote(repo, line(3, "mine"))
    repo.write("theirs.py", "1\n")
    repo.commit("theirs")
    with pytest.raises(HandlerError) as caught:
        wrote(repo, "pass", task_id="fix1", resume="t", onto="main")
    assert caught.value.code == "nothing-written"


def test_what_is_not_committed_or_gone_or_has_no_target_is_told(repo):
    folder = wrote(repo, line(3, "mine"))["worktree"]
    assert refused(repo, "rebase", into="no/such")[0] == "no-target"
    assert refused(repo, "rebase", into="swarm/t")[0] == "no-target"
    with open(f"{folder}/a.py", "a") as file:
        file.write("more\n")
    assert refused(repo, "rebase")[0] == "uncommitted"
    repo.git("worktree", "remove", "--force", folder)
    repo.git("branch", "-D", "swarm/t")
    assert refused(repo, "rebase")[0] == "gone"
    assert refused(repo, "rebase", task_id="nobody")[0] == "not-here"


def test_work_that_its_agent_did_on_another_branch_is_brought_to_its_own(repo):
    leave = "import subprocess as s; s.run(['git', 'checkout', '-q', '-b', 'mine'], check=True); "
    commit = "; s.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qam', 'done'], check=True)"
    result = wrote(repo, leave + line(3, "mine") + commit)
    assert result["files"] == ["a.py"]
    assert result["commit"] == repo.git("rev-parse", "swarm/t") == repo.git("rev-parse", "mine")
    land(repo, step(repo, "rebase"))
    assert "mine" in (repo.workdir / "a.py").read_text()


def test_work_that_lies_on_another_branch_is_neither_merged_nor_lost(repo):
    away = "import subprocess as s; s.run(['git', 'checkout', '-q', '--orphan', 'new'], check=True); "
    commit = "; s.run(['git', '-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-qam', 'done'], check=True)"
    with pytest.raises(HandlerError, match="it left its branch swarm/t for new"):
        wrote(repo, away + line(3, "mine") + commit)
    assert refused(repo, "rebase")[0] == "elsewhere"
    commit = repo.git("rev-parse", "new")
    step(repo, "discard")
    assert repo.git("rev-parse", "refs/swarm/discarded/swarm-t+head") == commit


@pytest.mark.parametrize("act", ["rebase", "land", "discard"])
def test_what_a_task_works_in_is_left_alone(repo, act):
    folder = Path(wrote(repo, line(3, "mine"))["worktree"])
    done = step(repo, "rebase")
    with in_use(folder) as free:
        assert free
        more = {"into": "main", "onto": done["onto"], "commit": done["commit"], "tip": done["tip"]}
        assert refused(repo, act, **(more if act == "land" else {}))[0] == "busy"
    assert folder.is_dir()
    assert repo.git("rev-parse", "main") == done["onto"]


def test_commits_that_came_after_the_checks_are_not_merged_unseen(repo):
    folder = wrote(repo, line(3, "mine"))["worktree"]
    done = step(repo, "rebase")
    wrote(repo, line(5, "more"), task_id="u", resume="t")
    with pytest.raises(HandlerError, match=r"swarm/t has moved .* nobody looked at that"):
        land(repo, done)
    assert repo.git("rev-parse", "main") == done["onto"]
    land(repo, step(repo, "rebase"))
    assert "more" in (repo.workdir / "a.py").read_text()
    assert not Path(folder).exists()


def test_a_step_that_was_cut_off_after_it_moved_the_target_ends_well_though_others_went_on(repo):
    folder = wrote(repo, line(3, "mine"))["worktree"]
    done = step(repo, "rebase")
    repo.git("merge", "-q", "--ff-only", done["commit"])
    repo.write("theirs.py", "1\n")
    theirs = repo.commit("theirs")
    assert land(repo, done)["commit"] == done["commit"]
    assert repo.git("rev-parse", "main") == theirs
    assert not Path(folder).exists()


def test_thrown_away_work_can_be_had_back(repo):
    folder = wrote(repo, line(3, "mine"))["worktree"]
    with open(f"{folder}/new.py", "w") as file:
        file.write("not committed\n")
    told = step(repo, "discard")
    assert not repo.git("branch", "--list", "swarm/t")
    assert "swarm/t" not in repo.git("worktree", "list")
    assert repo.git("show", f"{told['commit']}:new.py") == "not committed"
    assert f"git -C {repo.workdir} branch swarm/t" in told["message"]
    assert repo.git("rev-parse", "refs/swarm/discarded/swarm-t") == told["commit"]
    assert step(repo, "discard")["commit"] == told["commit"]


def test_hooks_and_a_signing_user_are_no_part_of_it(repo, tmp_path):
    mark = tmp_path / "ran"
    for name in ("post-checkout", "pre-commit", "post-merge", "pre-rebase", "reference-transaction", "post-rewrite"):
        hook = repo.workdir / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch {mark}\n")
        hook.chmod(0o755)
    repo.git("config", "commit.gpgsign", "true")
    wrote(repo, line(3, "mine"))
    repo.git("-c", "core.hooksPath=/dev/null", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-m", "n")
    land(repo, step(repo, "rebase"))
    assert not mark.exists()


def test_a_repository_with_submodules_is_merged(repo, tmp_path):
    inner = tmp_path / "inner"
    repo.git("init", "-q", str(inner))
    repo.git("-C", str(inner), "commit", "-q", "--allow-empty", "-m", "inner")
    repo.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(inner), "mod")
    repo.commit("with a submodule")
    wrote(repo, line(3, "mine"))
    repo.git("commit", "-q", "--allow-empty", "-m", "theirs")
    land(repo, step(repo, "rebase"))
    assert repo.git("status", "--porcelain") == ""
    assert "mod" in repo.git("ls-tree", "main", "mod")


def test_tests_run_on_a_commit_in_a_checkout_of_its_own(repo):
    repo.write("pytest.ini", "[pytest]\n")
    repo.write("test_a.py", "import a\n\ndef test_a():\n    assert a.x3 == 3\n")
    repo.commit()
    wrote(repo, line(3, "x3 = 4"))
    ran = repo.run(Run(), "testing.run", {"repo": ".", "head": "swarm/t"})
    assert (ran["verdict"], ran["failed"]) == ("failed", 1)
    assert ran["head"] == repo.git("rev-parse", "swarm/t")
    assert repo.run(Run(), "testing.run", {"head": "main"})["verdict"] == "passed"
    clean_up_is_done(repo)
    assert repo.git("status", "--porcelain") == ""
    with pytest.raises(HandlerError) as caught:
        repo.run(Run(), "testing.run", {"head": "none"})
    assert caught.value.code == "no-commit"


def test_the_same_lines_of_others_are_named_as_soon_as_the_work_is_done(repo):
    assert wrote(repo, line(3, "mine"))["overlaps"] == []
    assert wrote(repo, line(3, "theirs"), task_id="u")["overlaps"] == ["t changes the same lines: a.py:4"]
