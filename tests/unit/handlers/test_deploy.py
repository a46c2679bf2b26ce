"""deployment.deploy and .rollback: a failed one leaves the old release live, and so does a SIGKILL at any step."""

import asyncio
import itertools
import json
import os
import shutil
import signal
import sys

import pytest

from swarm_tui.agent.handlers.base import HandlerError, MissingToolError
from swarm_tui.agent.handlers.deployment.deploy import Deploy, Rollback

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


def test_without_wrangler_it_says_how_to_install_it(bench):
    with pytest.raises(MissingToolError, match="npm install"):
        bench.run(
            Deploy(),
            "deployment.deploy",
            {"service": "shop", "version": "1"},
            options={"targets": {"edge": {"kind": "wrangler"}}},
        )


def test_a_url_is_probed(shop):
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Page(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/shop/1" else 503)
            self.end_headers()
            self.wfile.write(b"all is well")

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
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(HandlerError, match="rolled back: 1 is live"):
        deploy(shop, "3", {**probe, "within": 0.2})
