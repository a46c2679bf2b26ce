"""Draw the pictures of the README from a real swarm: `python -m tests.screenshot [FOLDER]`, docs/ by default.

It brings nine agents up in a tmux server and on a broker of its own, gives them work, and brings them down again.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import pick_port
from tests.e2e.shell import NINE, Shell
from tests.ui.picture import DrawnApp

PICTURES: dict[str, tuple[tuple[int, int], list[str]]] = {
    "screen": ((120, 40), []),
    "screen-small": ((80, 24), []),
    "task": ((100, 30), ["tab", "j", "j", "enter"]),
    "form": ((100, 30), ["n", "type:review", "enter"]),
    "wall": ((120, 40), ["w"]),
}
SWARM = "opencto-dev"
CART = "def total(prices):\n    return sum(prices)\n"
TESTS = "def test_adds():\n    assert 1 + 1 == 2\n\n\ndef test_totals():\n    assert sum([1, 2]) == 4\n"
#: Tasks as a person gives them: some that end, one that fails, one that waits for a yes, some that run.
WORK = [
    "testing.run -p path=tests", "security.scan", "documentation.generate", "code.review", "monitoring.health",
    "testing.run -p path=integration", "noop -p seconds=0.2", "deployment.deploy -p service=shop -p version=1.2",
    "noop -p seconds=90", "site.build",
]  # fmt: skip
BUILD = (
    'for n in 1 2 3 4 5 6 7 8 9; do echo "compiling part $n of 9"; '
    "echo '{\"progress\": '$((n*10))', \"message\": \"part '$n' of 9\"}'; sleep 8; done"
)


def layout(folder: Path) -> str:
    """The swarm that is drawn."""
    more = {
        "testing": "handlers: {noop: {}}",
        "api-gateway": f"env: {{SWARM_HTTP_PORT: '{pick_port()}'}}",
    }
    rows = "".join(f"  - {{role: {role}, id: {role}-01{', ' + more[role] if role in more else ''}}}\n" for role in NINE)
    build = folder / "build.sh"
    build.write_text(BUILD + "\n")
    return (
        f"swarm: {SWARM}\nsession: pictures\nbroker: {{url: 'mqtt://127.0.0.1:{pick_port()}'}}\n"
        f"tmux: {{socket: pictures-{os.getpid()}}}\nworkdir: {folder}/shop\n"
        f"policy: {{approve: ['deployment.*']}}\nagents:\n"
        f"{rows}  - {{role: general, id: builder, handlers: {{site.build: {{command: [sh, {build}]}}, noop: {{}}}}}}\n"
    )


def project(folder: Path) -> None:
    """A small repository to work in, with a change that nobody committed."""
    files = {
        "shop/__init__.py": "",
        "shop/cart.py": CART,
        "tests/test_cart.py": TESTS,
        "pyproject.toml": "[project]\nname = 'shop'\n",
    }
    for name, text in files.items():
        path = folder / "shop" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "Begin"]):
        subprocess.run(["git", *words], cwd=folder / "shop", check=True)
    (folder / "shop/shop/cart.py").write_text(
        "def total(prices):\n    return sum(price for price in prices if price)\n"
    )


@contextmanager
def swarm(folder: Path) -> Iterator[None]:
    """The swarm at work, until the end of the block."""
    for name in ("home", "run", "state", "config", "cache", "tmux"):
        (folder / name).mkdir(mode=0o700)
    os.environ.update(
        HOME=f"{folder}/home", XDG_RUNTIME_DIR=f"{folder}/run", XDG_STATE_HOME=f"{folder}/state",
        XDG_CONFIG_HOME=f"{folder}/config", XDG_CACHE_HOME=f"{folder}/cache", TMUX_TMPDIR=f"{folder}/tmux",
    )  # fmt: skip
    os.environ.pop("TMUX", None)
    project(folder)
    (folder / "l.yml").write_text(layout(folder))
    shell = Shell(folder / "shop")
    try:
        shell.ok("up", str(folder / "l.yml"), "--detach", limit=120)
        for words in WORK:
            shell.ok("publish", *words.split())
        time.sleep(20)
        yield
    finally:
        shell("down", SWARM, "--now", "--purge")


async def draw(size: tuple[int, int], keys: Sequence[str]) -> str:
    """The SVG of the screen after some keys."""
    from swarm_tui.config.running import load_running
    from swarm_tui.ui.live.connect import open_source

    running = load_running(SWARM)
    assert running is not None
    app = DrawnApp(open_source(SWARM, running.broker, running, None))
    async with app.run_test(size=size) as pilot:
        await asyncio.sleep(4)
        for key in keys:
            await (pilot.press(*key[5:]) if key.startswith("type:") else pilot.press(key))
            await asyncio.sleep(0.5)
        await asyncio.sleep(2)
        return app.export_screenshot()


def main(argv: list[str]) -> None:
    """Write each as SVG."""
    target = Path(argv[0]) if argv else Path(__file__).parent.parent / "docs"
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-", ignore_cleanup_errors=True) as folder, swarm(Path(folder)):
        for name, (size, keys) in PICTURES.items():
            (target / f"{name}.svg").write_text(asyncio.run(draw(size, keys)))
            print(target / f"{name}.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
