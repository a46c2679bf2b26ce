"""Command tmux over one control client while it lives, and by plain commands whenever it does not."""

import time
from collections.abc import Callable, Sequence

from swarm_tui.tmux.control import ControlClient
from swarm_tui.tmux.errors import NoServerError, TmuxTimeoutError
from swarm_tui.tmux.server import Tmux

#: Seconds between two attempts at a tmux that does not answer, and how long each of those may take.
LEFT_ALONE, PATIENCE = 1.0, 0.5


class ControlFirstTmux(Tmux):
    """A Tmux whose single commands cost no process once `connect` was called.

    Lists go by a plain command all the same: only so does tmux take the whole of one or nothing of it. While tmux
    does not answer, most calls fail at once, so that whoever calls from a loop goes round it all the same.
    """

    _client: ControlClient | None = None
    _alone_until: float | None = None

    def connect(self, session: str) -> None:
        """Keep a control client of the session, which is told nothing of what panes print."""
        if self._client is None:
            self._client = ControlClient(self, session)

    def disconnect(self) -> None:
        """End the client."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def run(self, *argv: str, timeout: float | None = None) -> list[str]:
        """As `Tmux.run`."""

        def ask(client: ControlClient | None, limit: float) -> list[str]:
            if client is not None and ";" not in argv:
                try:
                    return client.command(*argv, timeout=limit)
                except NoServerError:
                    pass  # It is gone; a plain command says whether the server is, too.
            return super(ControlFirstTmux, self).run(*argv, timeout=limit)

        return self._in_time(ask, self.timeout if timeout is None else timeout)

    def run_each(self, many: Sequence[Sequence[str]]) -> list[str]:
        """Run commands that need not be one list, sent at once; return the lines that all of them printed."""

        def ask(client: ControlClient | None, limit: float) -> list[str]:
            if client is not None:
                try:
                    return [line for lines in client.commands(many, timeout=limit) for line in lines]
                except NoServerError:
                    pass  # As above.
            return self.run_list(many, timeout=limit)

        return self._in_time(ask, self.timeout)

    def _in_time(self, ask: Callable[[ControlClient | None, float], list[str]], limit: float) -> list[str]:
        if self._alone_until is not None:
            if time.monotonic() < self._alone_until:
                raise TmuxTimeoutError("tmux does not answer")
            limit = min(limit, PATIENCE)
        client = self._client if self._client is not None and self._client.is_up else None
        try:
            said = ask(client, limit)
        except TmuxTimeoutError:
            self._alone_until = time.monotonic() + LEFT_ALONE
            raise
        self._alone_until = None
        return said
