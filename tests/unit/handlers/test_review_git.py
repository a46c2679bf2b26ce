"""code.review reads git's change as it is, whatever a user's or a repository's configuration makes of git."""

import os
from pathlib import Path

import pytest

from swarm_tui.agent.handlers.base import HandlerError
from swarm_tui.agent.handlers.review import diff
from swarm_tui.agent.handlers.review.review import Review

HOSTILE = """
[diff]
    interHunkContext = 50
    context = 9
    noprefix = true
    mnemonicPrefix = true
    external = /bin/false
    orderFile = /nonexistent
    renames = false
    algorithm = histogram
    colorMoved = zebra
    wsErrorHighlight = all
    submodule = log
    relative = true
    autoRefreshIndex = false
    suppressBlankEmpty = true
[color]
    ui = always
    diff = always
[core]
    pager = /bin/false
    quotePath = false
    attributesFile = {attributes}
    bigFileThreshold = 1
    fsmonitor = /bin/false
[submodule]
    recurse = true
[status]
    showUntrackedFiles = no
[commit]
    gpgSign = true
"""
#: Old, new: two of its lines change with one between that does not, so that settings can make one hunk of them.
OLD = "a = 1\n\nb = 2\n\nc = 3\n"
NEW = "a = missing\n\nb = 2\n\nc = absent\n"
FOUND = {("app.py", 1, "F821"), ("app.py", 5, "F821")}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of the user's with a configuration of git's own."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    return folder


def hostile(folder: Path) -> str:
    (folder / "attributes").write_text("*.py -diff\n")
    return HOSTILE.format(attributes=folder / "attributes")


def comments(result):
    return {(c["file"], c["line"], c["code"]) for c in result["comments"]}


@pytest.mark.parametrize("where", ["user", "repository"])
@pytest.mark.parametrize("head", [None, "HEAD"])
def test_no_configuration_hides_a_line(bench, home, where, head):
    bench.write("app.py", OLD)
    bench.commit()
    bench.write("app.py", NEW)
    if head:
        bench.commit()
    target = home / ".gitconfig" if where == "user" else bench.workdir / ".git" / "config"
    with target.open("a") as file:
        file.write(hostile(home))
    result = bench.run(Review(), "code.review", {"head": head} if head else {})
    assert comments(result) == FOUND
    assert (result["lines_added"], result["lines_removed"], result["approved"]) == (2, 2, False)


def test_new_files_count_whatever_is_hidden(bench, home):
    bench.write("app.py", OLD)
    bench.commit()
    (home / ".gitconfig").write_text(hostile(home) + "\texcludesFile = ~/ignored\n".replace("\t", "[core]\n\t"))
    (home / "ignored").write_text("*.mine.py\n")
    bench.write("new.py", "x = missing\n")
    bench.write("notes.mine.py", "x = missing\n")
    assert comments(bench.run(Review(), "code.review")) == {("new.py", 1, "F821")}


def test_the_users_line_ends_stay(bench, home):
    bench.write("app.py", OLD)
    bench.commit()
    (home / ".gitconfig").write_text("[core]\n\tautocrlf = true\n")
    bench.write("app.py", OLD.replace("\n", "\r\n").replace("c = 3", "c = absent"))
    result = bench.run(Review(), "code.review")
    assert (comments(result), result["lines_added"]) == ({("app.py", 5, "F821")}, 1)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to another user")
def test_a_folder_of_anothers_is_read_only_where_the_user_trusts_it(bench, home):
    bench.write("app.py", "x = missing\n")
    bench.commit()
    os.chown(bench.workdir, 12345, 12345)
    with pytest.raises(HandlerError, match="dubious ownership"):
        bench.run(Review(), "code.review", {"head": "HEAD"})
    (home / ".gitconfig").write_text(f"[safe]\n\tdirectory = {bench.workdir}\n")
    result = bench.run(Review(), "code.review", {"head": "HEAD"}, task_id="t-2")
    assert comments(result) == {("app.py", 1, "F821")}


def test_a_repositorys_own_filter_does_not_run(bench, tmp_path):
    mark = tmp_path / "ran"
    bench.write("app.py", OLD)
    bench.write(".gitattributes", "*.py filter=evil diff=evil\n")
    bench.commit()
    for name in ("filter.evil.clean", "diff.evil.textconv", "diff.evil.command"):
        bench.git("config", name, f"touch {mark}; cat")
    bench.git("config", "filter.evil.required", "true")
    bench.write("app.py", NEW)
    assert comments(bench.run(Review(), "code.review")) == FOUND
    assert not mark.exists()


@pytest.mark.parametrize(
    "name", ['qu"ote.py', "naïve.py", 'é"both.py', "new\nline.py", "tab\t.py", " b/a b/x.py", "-x.py"]
)
@pytest.mark.parametrize("committed", [True, False])
def test_every_name_is_reviewed(bench, name, committed):
    bench.write("app.py", OLD)
    bench.write(name, OLD)
    bench.commit()
    bench.write(name, NEW)
    if committed:
        bench.commit()
    result = bench.run(Review(), "code.review", {"head": "HEAD"} if committed else {})
    assert comments(result) == {(name, 1, "F821"), (name, 5, "F821")}


def test_a_name_that_is_no_utf8(bench):
    bench.write("app.py", OLD)
    bench.commit()
    (bench.workdir / os.fsdecode(b"caf\xe9.py")).write_text("x = missing\n")
    bench.commit()
    assert comments(bench.run(Review(), "code.review", {"head": "HEAD"})) == {("caf\\xe9.py", 1, "F821")}


def test_what_is_not_read_is_named(bench):
    bench.write("kept.py", OLD)
    bench.write(".gitattributes", "hidden.py -diff\n")
    bench.write("hidden.py", OLD)
    bench.write("gone.py", OLD)
    bench.commit()
    bench.write("hidden.py", NEW)
    (bench.workdir / "gone.py").unlink()
    (bench.workdir / "picture.png").write_bytes(b"\x89PNG\0\0")
    (bench.workdir / "link.py").symlink_to("kept.py")
    (bench.workdir / "out.py").symlink_to("../../etc/passwd")
    for committed in (False, True):
        if committed:
            bench.commit()
        result = bench.run(Review(), "code.review", {"head": "HEAD"} if committed else {})
        said = "\n".join(result["skipped"])
        assert "picture.png: binary" in said
        assert "hidden.py: an attribute of git's" in said
        assert "link.py: a symbolic link to kept.py" in said
        assert result["deleted"] == ["gone.py"]
        assert (result["lines_removed"], result["files"]) == (5, 5)
        assert comments(result) == {("out.py", 0, "link-outside"), ("hidden.py", 0, "hidden")}
        assert "4 not read" in result["summary"]


def test_a_file_that_became_a_link(bench):
    bench.write("kept.py", "y = 1\n")
    bench.write("app.py", "x = missing\n")
    bench.commit()
    (bench.workdir / "app.py").unlink()
    (bench.workdir / "app.py").symlink_to("kept.py")
    result = bench.run(Review(), "code.review")
    assert (result["comments"], result["lines_removed"]) == ([], 1)


def test_a_submodule_is_named(bench, tmp_path):
    bench.write("app.py", OLD)
    first = bench.commit()
    bench.git("update-index", "--add", "--cacheinfo", f"160000,{first},sub")
    bench.git("commit", "-q", "-m", "sub")
    (skipped,) = bench.run(Review(), "code.review", {"head": "HEAD"})["skipped"]
    assert skipped.startswith("sub: a submodule (new → ")


def test_a_conflict_that_is_being_merged(bench):
    bench.write("app.py", "x = 1\n")
    bench.commit()
    bench.git("checkout", "-qb", "other")
    bench.write("app.py", "x = 2\n")
    bench.commit()
    bench.git("checkout", "-q", "main")
    bench.write("app.py", "x = 3\n")
    bench.commit()
    with pytest.raises(Exception, match="merge"):
        bench.git("merge", "other")
    assert ("app.py", 1, "conflict") in comments(bench.run(Review(), "code.review"))


def test_a_first_commit_and_a_repository_of_sha256(bench):
    bench.git("init", "-q", "-b", "main", "--object-format=sha256")
    bench.write("app.py", "x = missing\n")
    bench.commit()
    assert comments(bench.run(Review(), "code.review", {"head": "HEAD"})) == {("app.py", 1, "F821")}


def test_a_part_of_the_repository(bench):
    bench.write("lib/ü.py", OLD)
    bench.write("other.py", OLD)
    bench.commit()
    bench.write("lib/ü.py", NEW)
    bench.write("other.py", NEW)
    bench.commit()
    result = bench.run(Review(), "code.review", {"repo": "lib", "head": "HEAD"})
    assert comments(result) == {("ü.py", 1, "F821"), ("ü.py", 5, "F821")}


def test_a_context_line_is_counted():
    (change,) = diff.parse("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n-a\n+b\n \n-c\n+d\n--- a/y\n")
    assert (change.added, change.removed) == ({1: "b", 3: "d"}, 2)


def test_a_diff_that_lost_lines_is_an_error():
    listing = ":100644 100644 " + "a" * 40 + " " + "b" * 40 + " M\0x\x002\t1\tx\0"
    with pytest.raises(HandlerError, match="1 and 1 lines of 2 and 1"):
        diff.read(listing, "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n")
