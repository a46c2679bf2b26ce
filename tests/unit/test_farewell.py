"""What the screen leaves behind in the terminal."""

from swarm_tui.ui.run import farewell


def test_leaving_breaks_no_command() -> None:
    for width in (20, 60, 80, 100, 200):
        lines = farewell("nc-dev", width).split("\n")
        assert sum("`swarm-tui down nc-dev`" in line for line in lines) == 1
        assert width < 40 or all(len(line) < width for line in lines)


def test_one_that_was_brought_down_meanwhile_does_not_run_on() -> None:
    said = farewell("nc-dev", 80, again="swarm-tui up /srv/nc-dev.yml")
    assert "was brought down" in said
    assert "`swarm-tui up /srv/nc-dev.yml`" in said
    assert "runs on" not in said
