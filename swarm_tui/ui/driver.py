"""The terminal's keys: read when there are any. Textual's own reader looks ten times a second whether it is to end."""

import os
import select
from codecs import getincrementaldecoder
from contextlib import suppress

from textual._parser import ParseError
from textual._xterm_parser import XTermParser
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver

PART = 0.1
"""Seconds between two looks whether an escape is the key, and not the beginning of another."""


class SleepyDriver(LinuxDriver):
    """Textual's driver, whose thread of keys sleeps until there is one."""

    _ear = _bell = -1
    """The two ends of a pipe, which wakes it when it is to end."""

    def start_application_mode(self) -> None:
        self._ear, self._bell = os.pipe()
        super().start_application_mode()  # type: ignore[no-untyped-call]

    def stop_application_mode(self) -> None:
        super().stop_application_mode()
        for end in (self._ear, self._bell):
            if end >= 0:
                os.close(end)
        self._ear = self._bell = -1

    def disable_input(self) -> None:
        if self._bell >= 0:
            os.write(self._bell, b"\0")
        super().disable_input()

    def run_input_thread(self) -> None:
        """Wait for input and dispatch events."""
        parser, decode = XTermParser(self._debug), getincrementaldecoder("utf-8")("replace").decode

        def take(wait: float | None, *, final: bool = False) -> None:
            ready, _, _ = select.select([self.fileno, self._ear], [], [], wait)
            if self.fileno in ready and (text := decode(os.read(self.fileno, 4096), final=final)):
                for event in parser.feed(text):
                    self.process_message(event)
            for event in parser.tick():
                self.process_message(event)

        try:
            while not self.exit_event.is_set():
                take(None if parser._timeout_time is None else PART)
            take(PART, final=True)
        finally:
            with suppress(EOFError, ParseError):
                for _ in parser.feed(""):
                    pass


def sleepy(driver: type[Driver]) -> type[Driver]:
    """Return ours in place of the driver that Textual would take, where that is the terminal's."""
    return SleepyDriver if driver is LinuxDriver else driver
