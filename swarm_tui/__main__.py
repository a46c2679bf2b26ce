"""`python -m swarm_tui` is `swarm-tui`."""

from swarm_tui.cli.main import main

if __name__ == "__main__":
    main()
