"""A tmux server seen through libtmux: eyes that share nothing with the supervisor's, for checks and tests."""

import libtmux


def agent_panes(socket: str) -> dict[str, dict[str, int]]:
    """Session → window → how many of its panes carry an agent's tag; empty when the server has none or is not there.

    libtmux's calls have no time limit: ask the server by one of ours first.
    """
    return {
        session.session_name or "": {
            window.window_name or "": sum(1 for pane in window.panes if _tag(pane)) for window in session.windows
        }
        for session in libtmux.Server(socket_name=socket).sessions
    }


def _tag(pane: libtmux.Pane) -> str:
    return "".join(pane.cmd("show-options", "-p", "-q", "-v", "@agent").stdout)
