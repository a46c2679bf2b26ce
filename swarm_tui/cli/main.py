"""`swarm-tui`: what the arguments name is imported, and nothing else."""

import os
import sys


def main(argv: list[str] | None = None) -> None:
    """Run one command and exit with its code."""
    _open_all()
    if argv is None:
        _speak_utf8()
    try:
        sys.exit(_run(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        # Ctrl-C may come while the imports are still under way.
        sys.exit(130)


def _open_all() -> None:
    """Give what was closed a place that takes and holds nothing: else a socket would become our output."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # The lowest number that is free.
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, "r" if number == 0 else "w", closefd=False))  # noqa: SIM115


def _speak_utf8() -> None:
    """Begin anew in Python's UTF-8 mode where the locale has another encoding.

    Logs, payloads, layouts and the screen hold what no other has; whatever is started from here takes the mode over.
    """
    spoken = getattr(sys.stdout, "encoding", "utf-8").lower().replace("-", "")
    if spoken != "utf8" and not sys.flags.utf8_mode and "PYTHONUTF8" not in os.environ:
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, "-P", *sys.orig_argv[1:]])


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["agent"]:
        # An agent's start is nine-fold, so it pays for no command line library.
        from swarm_tui.agent.main import main as agent

        return agent(arguments[1:])
    from swarm_tui.cli.group import run

    return run(arguments)


if __name__ == "__main__":
    main()
