"""Every bar in one run, one after another: `python -m tests.bench [MODULE...]`. Exits 1 when one is missed.

Each module runs in a process of its own. Its figures are ratios wherever something else can be measured in the same
run; a busy machine still blurs them, so the load is said first.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from tests.bench.bars import NOTES, Bar, read

#: Each module, and the packages without which it cannot run.
MODULES: dict[str, tuple[str, ...]] = {
    "bench_agent": (),
    "bench_conversation": (),
    "bench_engine": (),
    "bench_runs": (),
    "bench_proofs": (),
    "bench_flood": (),
    "bench_transport": (),
    "bench_facts": (),
    "bench_supervisor": (),
    "bench_liveness": (),
    "bench_past": (),
    "bench_sixty": (),
    "bench_many": (),
    "bench_scale": (),
    "bench_rivals": (),
    "bench_ui": (),
    "bench_size": (),
    "bench_storm": (),
    "bench_screen": (),
    "bench_celery": ("celery", "redis"),
    "bench_chord": ("celery", "redis"),
}
INSTALL = "pip install -e '.[bench]'"
#: Seconds after which a module is given up.
LIMIT = 900.0


def missing(name: str) -> str:
    """Why a module is not run; empty when it is."""
    if find_spec(f"tests.bench.{name}") is None:
        return "it is not here"
    if name in ("bench_celery", "bench_chord") and shutil.which("redis-server") is None:
        return "redis-server missing: apt-get install redis-server"
    lacks = [package for package in MODULES[name] if find_spec(package) is None]
    return f"{', '.join(lacks)} missing: {INSTALL}" if lacks else ""


def run(name: str, folder: Path) -> tuple[list[Bar], str]:
    """The module's bars, and why it failed although none of them was missed (empty: it did not)."""
    notes = folder / name
    print(f"\n== {name}", flush=True)
    environment = {**os.environ, NOTES: str(notes)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", f"tests.bench.{name}"], env=environment, timeout=LIMIT, check=False
        )
    except subprocess.TimeoutExpired:
        return read(notes), f"it did not end within {LIMIT:.0f} s"
    bars = read(notes)
    if done.returncode != 0 and all(bar.ok for bar in bars):
        return bars, f"it ended with {done.returncode}"
    return bars, ""


def main(names: list[str]) -> int:
    """Run the modules named, or all; print the table."""
    unknown = [name for name in names if name not in MODULES]
    if unknown:
        print(f"no such module: {', '.join(unknown)}; there are {', '.join(MODULES)}", file=sys.stderr)
        return 2
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores", flush=True)
    found: list[Bar] = []
    skipped, failed = [], []
    with tempfile.TemporaryDirectory(prefix="swarm-bench-") as folder:
        for name in names or MODULES:
            if why := missing(name):
                skipped.append(f"skipped {name}: {why}")
                continue
            bars, trouble = run(name, Path(folder))
            found += bars
            if trouble:
                failed.append(f"failed  {name}: {trouble}")
    print(f"\n{'bar':<58} {'measured':>12} {'':<7} {'limit':>16}")
    for line in [*(bar.line() for bar in found), *failed, *skipped]:
        print(line)
    return 1 if failed or not all(bar.ok for bar in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
