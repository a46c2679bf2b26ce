"""What this host tells of the swarm and the bus does not: it was brought down, or its supervisor does nothing."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from swarm_tui.config.model import Broker
from swarm_tui.config.paths import shipped_layouts, state_dir
from swarm_tui.config.running import Running, forget_running, save_running, up_again
from swarm_tui.protocol.bodies import HostStatus
from swarm_tui.protocol.topics import Kind
from swarm_tui.supervisor import processes, state_file
from swarm_tui.supervisor.host_access import beat, beat_path
from swarm_tui.supervisor.state_file import Saved
from swarm_tui.ui.live.live_source import LiveSource, NoPanes
from swarm_tui.ui.model.here import Here
from tests.ui.harness import open_ui
from tests.wait import until


@pytest.mark.asyncio
async def test_a_swarm_that_was_brought_down_is_no_lost_broker() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        ui.source.link(False, "the connection was refused")
        await ui.settle()
        assert ui.has("BROKER LOST")
        ui.source.here = Here(host="devbox", down=True, todo="`swarm-tui up mine` starts it again")
        await ui.pass_(1)
        assert not ui.has("BROKER")
        assert ui.has("opencto-dev was brought down: all is as it was")
        assert ui.has("○ DOWN")
        await ui.press("p")
        assert ui.has("→ `swarm-tui up mine` starts it again")
        ui.source.here = Here(host="devbox")
        ui.source.link(True)
        await ui.pass_(1)
        assert not ui.has("brought down: all is as it was")
        assert ui.has("● broker")


@pytest.mark.asyncio
async def test_a_swarm_that_other_hosts_have_is_not_down() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        ui.source.say("supervisor:far", Kind.HOST_STATUS, HostStatus(status="online"), "far")
        await ui.settle()
        ui.source.here = Here(host="devbox", down=True, todo="up")
        await ui.pass_(1)
        assert ui.has("● broker")
        assert not ui.has("was brought down: all is as it was")


@pytest.mark.asyncio
async def test_a_supervisor_that_does_nothing_is_the_first_trouble_with_what_to_do() -> None:
    async with open_ui("calm", (80, 24)) as ui:
        ui.source.say("supervisor:devbox", Kind.HOST_STATUS, HostStatus(status="offline"), "devbox")
        await ui.settle()
        await ui.pass_(1)
        assert ui.has("the supervisor of devbox is away")
        ui.source.here = Here(host="devbox", trouble="the supervisor (pid 7) stands still", todo="`kill -CONT 7`")
        await ui.pass_(1)
        assert ui.text()[2].startswith(" ‼ the supervisor (pid 7) stands still")
        await ui.press("p")
        assert ui.has("→ `kill -CONT 7`")
        assert not ui.has("the supervisor of devbox is away")


@pytest.fixture
def sleeping() -> Iterator[int]:
    """A process that does nothing."""
    process = subprocess.Popen(["sleep", "1000"])
    yield process.pid
    process.kill()
    process.wait()


def test_the_source_reads_it_from_this_host(sleeping: int) -> None:
    running = Running(
        swarm="s", session="s", socket="x", layout_path=str(shipped_layouts() / "small.yml"),
        broker=Broker(url="mqtt://127.0.0.1:1"), host="h", version="", started_at=0.0,
    )  # fmt: skip
    state = state_dir("s").create()
    facts = cast(Any, SimpleNamespace(swarm="s", host="h"))
    source = LiveSource(cast(Any, None), facts, NoPanes(), state, None, up_again=up_again(running))
    save_running(running)
    assert source.look_here() == Here(host="h")
    saved = Saved(pid=sleeping, start_time=processes.start_time(sleeping), boot=state_file.boot_id())
    state_file.save(state, saved)
    beat(state)
    os.kill(sleeping, signal.SIGSTOP)
    until(lambda: processes.is_stopped(sleeping), what="it stands still")
    assert source.look_here() == Here(host="h"), "it went round a moment ago"
    long_ago = time.monotonic() - 5
    os.utime(beat_path(state), (long_ago, long_ago))
    assert f"pid {sleeping}" in source.look_here().trouble
    assert f"kill -CONT {sleeping}" in source.look_here().todo
    forget_running("s")
    assert source.look_here() == Here(host="h", down=True, todo="`swarm-tui up small` starts it again")


def test_a_layout_that_no_other_folder_finds_is_named_by_its_path(tmp_path: Path) -> None:
    running = Running(
        swarm="s", session="s", socket="x", layout_path=str(tmp_path / "my layout.yml"),
        broker=Broker(url="mqtt://127.0.0.1:1"), host="h", version="", started_at=0.0,
    )  # fmt: skip
    assert up_again(running) == f"swarm-tui up '{tmp_path}/my layout.yml'"
