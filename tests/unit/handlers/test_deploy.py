"""deployment.deploy and .rollback: a failed one leaves the old release live, and so does a SIGKILL at any step."""

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import sys
import time

import pytest

from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.deployment.deploy import Deploy, Rollback
from swarm_tui.agent.handlers.deployment.release_log import ReleaseLog

HEALTHY = {"command": [sys.executable, "-c", "import sys; sys.exit(0)"], "within": 5}
SICK = {"command": [sys.executable, "-c", "import sys; sys.exit('sick')"], "within": 0.3, "interval": 0.1}
PAYLOAD = {"service": "shop", "source": "dist"}


def options(probe=None, **more):
    return {"targets": {"here": {"kind": "directory", "path": "srv", "probe": probe, **more}}}


@pytest.fixture
def shop(bench):
    build(bench, "1")
    return bench


def build(bench, version):
    shutil.rmtree(bench.workdir / "dist", ignore_errors=True)
    bench.write("dist/index.html", version)
    bench.write("dist/assets/app.js", f"app {version}")
    (bench.workdir / "dist/latest.js").symlink_to("assets/app.js")


def deploy(bench, version, probe=None, **more):
    build(bench, version)
    payload = {**PAYLOAD, "version": version, **more.pop("payload", {})}
    return bench.run(Deploy(), "deployment.deploy", payload, options=options(probe, **more))


def live(bench):
    """The content of the current release, all of it, or an assertion that fails."""
    current = bench.workdir / "srv/shop/current"
    version = (current / "index.html").read_text()
    assert (current / "assets/app.js").read_text() == f"app {version}"
    assert (current / "latest.js").read_text() == f"app {version}"
    assert os.readlink(current) == f"releases/{version}"
    return version


def test_a_deploy_goes_live_and_says_its_steps(shop):
    first = deploy(shop, "1", HEALTHY)
    assert (first["status"], first["live"], first["previous_version"]) == ("deployed", "1", None)
    second = deploy(shop, "2", HEALTHY)
    assert live(shop) == "2"
    assert second["previous_version"] == "1"
    statuses = [body["status"] for kind, body in shop.heard.published if kind == "deployment/status"]
    assert statuses == ["preflight", "publishing", "probing", "deployed"]
    assert shop.heard.published[-1][1]["progress"] == 100
    assert [p for p, _ in shop.heard.progress] == [5, 25, 60, 100]


def test_a_sick_version_is_rolled_back_by_itself(shop):
    deploy(shop, "1", HEALTHY)
    with pytest.raises(HandlerError, match="rolled back: 1 is live") as caught:
        deploy(shop, "2", SICK)
    assert caught.value.code == "rolled-back"
    assert "sick" in str(caught.value)
    assert (caught.value.result["status"], caught.value.result["live"]) == ("rolled-back", "1")
    assert live(shop) == "1"
    assert [body["status"] for _, body in shop.heard.published][-2:] == ["rolling-back", "rolled-back"]


def test_a_sick_first_version_leaves_nothing_live(shop):
    with pytest.raises(HandlerError, match="nothing is live"):
        deploy(shop, "1", SICK)
    assert not os.path.lexists(shop.workdir / "srv/shop/current")


def test_rollback_goes_to_the_version_before(shop):
    for version in ("1", "2", "3"):
        deploy(shop, version)
    back = shop.run(Rollback(), "deployment.rollback", {"service": "shop"}, options=options())
    assert (back["version"], live(shop)) == ("2", "2")
    named = {"service": "shop", "previous_version": "1"}
    assert shop.run(Rollback(), "deployment.rollback", named, options=options())["live"] == "1"
    with pytest.raises(HandlerError, match="no release 9; there are: 3, 2, 1"):
        shop.run(Rollback(), "deployment.rollback", {**named, "previous_version": "9"}, options=options())


def test_a_rollback_to_a_sick_version_returns_to_what_was_live(shop):
    deploy(shop, "1")
    deploy(shop, "2")
    with pytest.raises(HandlerError, match="2 is live"):
        shop.run(Rollback(), "deployment.rollback", {"service": "shop"}, options=options(SICK))
    assert live(shop) == "2"


def test_the_same_version_is_the_same_content(shop):
    deploy(shop, "1")
    deploy(shop, "1")
    shop.write("dist/index.html", "other")
    with pytest.raises(HandlerError, match="other content"):
        shop.run(Deploy(), "deployment.deploy", {**PAYLOAD, "version": "1"}, options=options())
    assert live(shop) == "1"


def test_old_releases_go_but_never_the_live_or_the_previous(shop):
    for version in "12345":
        deploy(shop, version, keep=2)
    assert sorted(os.listdir(shop.workdir / "srv/shop/releases")) == [".4.json", ".5.json", "4", "5"]


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        ({"service": "../up"}, "service"),
        ({"version": "../../x"}, "version"),
        ({"source": ".."}, "outside"),
        ({"source": "empty"}, "no files"),
        ({"source": "leak"}, "leads out"),
        ({"target": "moon"}, "there are: here"),
        ({"previous_version": "7"}, "not 7"),
    ],
)
def test_preflight_refuses(shop, payload, message):
    deploy(shop, "1")
    (shop.workdir / "empty").mkdir()
    (shop.workdir / "leak").mkdir()
    (shop.workdir / "leak/passwd").symlink_to("/etc/passwd")
    with pytest.raises(HandlerError, match=message):
        shop.run(Deploy(), "deployment.deploy", {**PAYLOAD, "version": "2", **payload}, options=options())
    assert live(shop) == "1"


def test_two_deploys_at_once_do_not_mix(shop):
    async def go():
        context = shop.context("deployment.deploy", {**PAYLOAD, "version": "1"}, options=options(HEALTHY))
        return await asyncio.gather(*(Deploy().run(context) for _ in range(2)), return_exceptions=True)

    done = sorted(asyncio.run(go()), key=lambda one: isinstance(one, Exception))
    assert done[0]["status"] == "deployed"
    assert (done[1].code, done[1].retryable) == ("busy", True)


def test_cancel_while_probing_rolls_back(shop):
    deploy(shop, "1")
    build(shop, "2")

    slow = {"command": ["sleep", "60"]}
    payload = {**PAYLOAD, "version": "2"}
    with pytest.raises(HandlerError, match="rolled back: 1 is live"):
        shop.cancel_when(
            Deploy(), "deployment.deploy", lambda: bool(shop.heard.spawned), payload=payload, options=options(slow)
        )
    assert live(shop) == "1"


KILL_POINTS = ["symlink", "replace", "rename", "unlink", "fsync", "utime", "mkdir"]


def _deadly(real, calls, number, after):
    def call(*args, **more):
        now = next(calls) == number
        if now and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        try:
            return real(*args, **more)
        finally:
            if now:
                os.kill(os.getpid(), signal.SIGKILL)

    return call


def _doomed(bench, payload, number, after):
    """Deploy in a child that is killed at the `number`th call that changes the disk. Whether it was."""
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1] == signal.SIGKILL
    try:
        calls = itertools.count()
        for name in KILL_POINTS:
            setattr(os, name, _deadly(getattr(os, name), calls, number, after))
        bench.run(Deploy(), "deployment.deploy", payload, options=options())
    finally:
        os._exit(0)


@pytest.mark.parametrize("after", [False, True])
def test_sigkill_at_every_step_leaves_the_old_or_the_new_version_live(shop, after):
    deploy(shop, "1")
    seen = set()
    for number in range(200):
        shutil.rmtree(shop.workdir / "srv")
        deploy(shop, "1")
        build(shop, "2")
        killed = _doomed(shop, {**PAYLOAD, "version": "2"}, number, after)
        seen.add(live(shop))
        # Whatever was left lying, the next deploy works.
        assert deploy(shop, "2")["live"] == "2"
        assert live(shop) == "2"
        if not killed:
            break
    assert seen == {"1", "2"}
    assert number > 10


def test_commands_publish_and_roll_back(bench):
    tool = bench.write("tool.py", "import sys; open('log','a').write(' '.join(sys.argv[1:])+'\\n')")
    run = [sys.executable, str(tool)]
    target = {
        "kind": "command",
        "publish": [*run, "publish", "{service}", "{version}"],
        "rollback": [*run, "rollback", "{previous_version}"],
        "url": "http://{service}.invalid/{version}",
    }

    def go(version, **more):
        payload = {"service": "shop", "version": version}
        return bench.run(Deploy(), "deployment.deploy", payload, options={"targets": {"x": {**target, **more}}})

    assert go("1")["url"] == "http://shop.invalid/1"
    with pytest.raises(HandlerError, match="rolled back: 1 is live"):
        go("2", probe=SICK)
    back = {"service": "shop", "previous_version": "1"}
    bench.run(Rollback(), "deployment.rollback", back, options={"targets": {"x": target}})
    log = (bench.workdir / "log").read_text().splitlines()
    assert log == ["publish shop 1", "publish shop 2", "rollback 1", "rollback 1"]
    with pytest.raises(HandlerError, match="NOT rolled back") as caught:
        go("3", rollback=None, publish=[*run[:1], "-c", "import sys; sys.exit(1)"])
    assert caught.value.code == "not-rolled-back"


def test_of_a_step_that_was_killed_and_not_made_good_nobody_knows_what_is_live(bench):
    """What must not run twice is held over the code `killed`, where another failure ends it."""
    kill = ["/bin/sh", "-c", "kill -KILL $$"]

    def go(version, publish, rollback, **more):
        target = {"kind": "command", "publish": publish, "rollback": rollback, **more}
        payload = {"service": "shop", "version": version}
        with pytest.raises(HandlerError) as caught:
            bench.run(Deploy(), "deployment.deploy", payload, options={"targets": {"x": target}})
        return caught.value.code

    assert go("1", kill, None) == "killed"
    payload = {"service": "shop", "version": "1"}
    target = {"kind": "command", "publish": ["true"]}
    bench.run(Deploy(), "deployment.deploy", payload, options={"targets": {"x": target}})
    assert go("2", kill, ["false"]) == "killed"
    assert go("2", ["false"], kill) == "killed"
    assert go("2", kill, ["true"]) == "rolled-back"
    assert go("2", ["true"], ["true"], preflight=kill) == "preflight"


WRANGLER = """#!{python}
import json, sys
with open("calls.jsonl", "a") as log:
    log.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1] == "deploy" and "--dry-run" not in sys.argv:
    n = sum(1 for line in open("calls.jsonl") if "--dry-run" not in line and '"deploy"' in line)
    print("Deployed shop triggers (1.20 sec)\\n  https://shop.example.workers.dev")
    print(f"Current Version ID: 0000000{{n}}-0000-0000-0000-000000000000")
"""


def test_wrangler_is_called_as_its_manual_says(bench, tmp_path, monkeypatch):
    tool = tmp_path / "bin/wrangler"
    tool.parent.mkdir()
    tool.write_text(WRANGLER.format(python=sys.executable))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")

    def go(version, probe=None):
        payload = {"service": "shop", "version": version}
        targets = {"edge": {"kind": "wrangler", "probe": probe, "environment": "prod"}}
        return bench.run(Deploy(), "deployment.deploy", payload, options={"targets": targets})

    assert go("1")["url"] == "https://shop.example.workers.dev"
    with pytest.raises(HandlerError, match="rolled back: 1 is live"):
        go("2", SICK)
    calls = [json.loads(line) for line in (bench.workdir / "calls.jsonl").read_text().splitlines()]
    name = ["--name", "shop", "--env", "prod"]
    assert calls[:2] == [["deploy", "--dry-run", *name], ["deploy", *name]]
    first = "00000001-0000-0000-0000-000000000000"
    assert calls[-1] == ["rollback", first, *name, "--message", "swarm-tui task t-1", "--yes"]


def test_two_targets_of_one_worker_know_of_each_other(bench, tmp_path, monkeypatch):
    tool = tmp_path / "bin/wrangler"
    tool.parent.mkdir()
    tool.write_text(WRANGLER.format(python=sys.executable))
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    kind = {"kind": "wrangler"}
    targets = {"a": kind, "b": {**kind, "environment": "prod"}, "c": {**kind, "worker": "{service}-staging"}}

    def go(version, target, handler=Deploy):
        payload = {"service": "shop", "previous_version" if handler is Rollback else "version": version}
        return bench.run(handler(), "deployment.x", {**payload, "target": target}, options={"targets": targets})

    go("1", "a")
    assert go("2", "b")["previous_version"] == "1"
    assert go("3", "c")["previous_version"] is None
    assert go(None, "a", Rollback)["live"] == "1"
    assert go("2", "a", Rollback)["previous_version"] == "1"
    calls = [json.loads(line) for line in (bench.workdir / "calls.jsonl").read_text().splitlines()]
    assert calls[5][:3] == ["deploy", "--name", "shop-staging"]
    assert [call[1] for call in calls if call[0] == "rollback"] == [
        "00000001-0000-0000-0000-000000000000",
        "00000002-0000-0000-0000-000000000000",
    ]


def test_what_is_remembered_of_targets_does_not_mix(tmp_path):
    first, second = ReleaseLog(tmp_path, "a-b", "c"), ReleaseLog(tmp_path, "a", "b-c")
    out = ReleaseLog(tmp_path, "../../out", "c")
    for log, version in ((first, "1"), (second, "2"), (out, "3")):
        with log.locked():
            log.add(version, None)
    assert (first.live(), second.live(), out.live()) == ("1", "2", "3")
    assert sorted(os.listdir(tmp_path)) == ["deployments"]
    (tmp_path / "deployments/old-c.json").write_text('[{"version": "0", "id": null}]')
    assert ReleaseLog(tmp_path, "old", "c").live() == "0"


def test_without_wrangler_it_says_how_to_install_it(bench):
    with pytest.raises(MissingToolError, match="npm install"):
        bench.run(
            Deploy(),
            "deployment.deploy",
            {"service": "shop", "version": "1"},
            options={"targets": {"edge": {"kind": "wrangler"}}},
        )


NAMES = [b"caf\xe9.html", "é.html".encode(), b"a\nb.html"]


def test_names_that_are_no_utf8_are_published(shop):
    """They raised through, and git's own list lost them."""
    for name in NAMES:
        (shop.workdir / "dist" / os.fsdecode(name)).write_bytes(name)
    payload = {**PAYLOAD, "version": "1"}
    done = shop.run(Deploy(), "deployment.deploy", payload, options=options())
    current = os.fsencode(shop.workdir / "srv/shop/current")
    assert {*NAMES} < {*os.listdir(current)}
    assert json.dumps(done)
    again = shop.run(Deploy(), "deployment.deploy", payload, options=options())
    assert again["live"] == "1", "the same content is the same release"
    (shop.workdir / "dist" / os.fsdecode(NAMES[0])).unlink()
    (shop.workdir / "dist" / os.fsdecode(NAMES[0])).symlink_to("/etc/passwd")
    with pytest.raises(HandlerError, match=r"caf\\xe9.html leads out"):
        shop.run(Deploy(), "deployment.deploy", {**payload, "version": "2"}, options=options())


def test_without_a_source_it_takes_what_git_tracks_and_says_how_much(bench):
    bench.write("index.html", "hello")
    (bench.workdir / os.fsdecode(NAMES[0])).write_text("x")
    bench.write(".gitignore", "*.log\n.venv\n")
    bench.commit()
    for name in ("server.log", ".venv/bin/python", "notes.txt"):
        bench.write(name, "not ours")
    done = bench.run(Deploy(), "deployment.deploy", {"service": "shop", "version": "1"})
    release = bench.workdir / "deploy/shop/releases/1"
    assert sorted(os.listdir(os.fsencode(release))) == sorted([b".gitignore", NAMES[0], b"index.html"])
    assert (done["files"], done["bytes"], done["untracked"]) == (3, 18, 1)
    assert (done["path"], done["source"]) == (str(release), str(bench.workdir))
    said = [body["message"] for _, body in bench.heard.published if body["status"] == "publishing"]
    assert said == [f"publishing shop 1: 3 files, 18 bytes, to {release}; 1 files that git does not track stay out"]
    again = bench.run(Deploy(), "deployment.deploy", {"service": "shop", "version": "2", "source": "."})
    assert (again["files"], again["untracked"]) == (3, 1), "the workdir by another name"


def test_a_workdir_that_is_no_repository_is_not_published_whole(shop):
    with pytest.raises(HandlerError, match="name the folder to publish") as caught:
        shop.run(Deploy(), "deployment.deploy", {"service": "shop", "version": "1"}, options=options())
    assert caught.value.code == "preflight"


def test_tools_of_a_named_source_stay_out(shop):
    shop.write("dist/env/pyvenv.cfg", "")
    shop.write("dist/.git/config", "")
    assert shop.run(Deploy(), "deployment.deploy", {**PAYLOAD, "version": "1"}, options=options())["files"] == 3


def test_a_rollback_says_rolled_back(shop):
    deploy(shop, "1")
    deploy(shop, "2")
    back = shop.run(Rollback(), "deployment.rollback", {"service": "shop"}, options=options(HEALTHY))
    assert (back["status"], back["live"], back["previous_version"]) == ("rolled-back", "1", "2")
    said = [body["status"] for _, body in shop.heard.published]
    assert said == ["preflight", "publishing", "probing", "rolled-back"]


@pytest.mark.parametrize("handler", [Deploy, Rollback])
def test_what_the_system_refuses_before_is_no_unknown_end(shop, handler):
    shop.write("srv", "a file where a folder should be")
    payload = {"service": "shop", "previous_version": None}
    payload |= {"source": "dist", "version": "1"} if handler is Deploy else {}
    with pytest.raises(HandlerError, match="nothing was changed") as caught:
        shop.run(handler(), "deployment.x", payload, options=options())
    assert caught.value.code == "preflight"


def test_colours_get_into_no_error(bench):
    loud = [
        "/bin/sh",
        "-c",
        r"printf '\033[31m\342\234\230 \033[1m[ERROR]\033[0m no\033]0;title\007 way\r\n\n\302\205' >&2; exit 1",
    ]
    targets = {"x": {"kind": "command", "publish": ["true"], "rollback": ["true"], "preflight": loud}}
    with pytest.raises(HandlerError, match=r"ended with exit status 1: ✘ \[ERROR\] no way") as caught:
        bench.run(Deploy(), "deployment.deploy", {"service": "shop", "version": "1"}, options={"targets": targets})
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", str(caught.value))


def test_a_last_try_that_the_time_cuts_off_hides_no_reason(shop):
    argv = ["sh", "-c", "[ -e tried ] && exec sleep 5; touch tried; echo sick >&2; exit 1"]
    with pytest.raises(HandlerError, match="unhealthy after 2 tries: sh ended with 1: sick"):
        deploy(shop, "1", {"command": argv, "within": 2.0, "interval": 0.1})


def test_a_url_is_probed(shop):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path in ("/shop/1", "/shop/4") else 503)
            self.end_headers()
            self.wfile.write(b"all is ")
            self.wfile.flush()
            time.sleep(0.05)  # The page comes in two parts.
            self.wfile.write(b"well, " + self.path.encode())

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Page)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/{{service}}/{{version}}"
        probe = {"url": url, "contains": "well", "within": 1, "interval": 0.1}
        assert deploy(shop, "1", probe)["health"] == "healthy at try 1"
        with pytest.raises(HandlerError, match="answers 503, not 200"):
            deploy(shop, "2", probe)
        assert deploy(shop, "4", {**probe, "contains": "{service}/{version}"})["live"] == "4"
        with pytest.raises(HandlerError, match="without 'shop-4'"):
            deploy(shop, "4", {**probe, "contains": "{service}-{version}"})
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(HandlerError, match="rolled back: 4 is live"):
        deploy(shop, "3", {**probe, "within": 0.2})
