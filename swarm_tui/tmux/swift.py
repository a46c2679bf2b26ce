"""tmux over one control client while it lives, and by plain commands whenever it does not."""

from collections.abc import Sequence

from swarm_tui.tmux.control import ControlClient
from swarm_tui.tmux.errors import NoServerError
from swarm_tui.tmux.server import Tmux


class SwiftTmux(Tmux):
    """A Tmux whose single commands cost no process once `connect` was called.

    Lists go by a plain command all the same: only so does tmux take the whole of one or nothing of it.
    """

    _client: ControlClient | None = None

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
        client = self._client
        if client is not None and client.is_up and ";" not in argv:
            try:
                return client.command(*argv, timeout=self.timeout if timeout is None else timeout)
            except NoServerError:
                pass  # It is gone; a plain command says whether the server is, too.
        return super().run(*argv, timeout=timeout)

    def run_each(self, many: Sequence[Sequence[str]]) -> list[str]:
        """Commands that need not be one list, sent at once; the lines that all of them printed."""
        client = self._client
        if client is not None and client.is_up:
            try:
                return [line for lines in client.commands(many, timeout=self.timeout) for line in lines]
            except NoServerError:
                pass  # As above.
        return self.run_list(many)
