"""Tell apart what can go wrong with tmux: a caller must never read a failure as an empty answer."""


class TmuxError(Exception):
    """tmux refused; the text is one sentence."""


class NoServerError(TmuxError):
    """No tmux server listens there: nothing of ours runs in it."""


class TmuxTimeoutError(TmuxError):
    """tmux did not answer in time: nothing is known."""


class TmuxMissingError(TmuxError):
    """tmux is not installed, or too old."""
