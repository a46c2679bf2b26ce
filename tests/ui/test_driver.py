"""The thread that reads keys sleeps while there is none, and ends when it is told to."""

import os
import pty
import select
import threading
import tty
from typing import Any

import pytest
from textual.events import Key

from swarm_tui.ui.driver import SleepyDriver
from tests.wait import until


def test_keys_are_read_when_there_are_any(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[str] = []
    waits: list[float | None] = []
    master, terminal = pty.openpty()
    tty.setraw(terminal)
    driver = SleepyDriver.__new__(SleepyDriver)
    driver._debug, driver.fileno, driver.exit_event = False, terminal, threading.Event()
    driver._ear, driver._bell = os.pipe()
    driver._key_thread = threading.Thread(target=driver.run_input_thread)

    def process(message: Any) -> None:
        if isinstance(message, Key):
            heard.append(message.key)

    wait = select.select
    driver.process_message = process  # type: ignore[method-assign]
    driver._disable_mouse_support = lambda: None  # type: ignore[method-assign]
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setattr("select.select", lambda *about: (waits.append(about[3]), wait(*about))[1])
    driver._key_thread.start()
    try:
        os.write(master, b"a")
        until(lambda: heard == ["a"])
        os.write(master, b"\x1b")
        until(lambda: heard == ["a", "escape"], what="a lone escape, after a moment")
        os.write(master, b"\x1b[A")
        until(lambda: heard == ["a", "escape", "up"])
        os.write(master, b"\xff")
        os.write(master, b"b")
        until(lambda: heard[3:] == ["replacement_character", "b"], what="what is no UTF-8 ends nothing")
        until(lambda: waits[-1] is None, what="it sleeps")
    finally:
        driver.disable_input()
        for end in (master, terminal, driver._ear, driver._bell):
            os.close(end)
    assert not driver._key_thread.is_alive()
