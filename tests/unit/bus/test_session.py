"""Short visits to a real broker."""

from swarm_tui.bus.session import clear_retained, retained
from tests.conftest import RealBroker
from tests.e2e.supervised_swarm import retained as topics_of


def test_what_is_retained_is_emptied_but_for_what_is_kept(real_broker: RealBroker) -> None:
    import subprocess

    for topic in ("s/a", "s/b/c", "s/keep", "other/a"):
        subprocess.run(["mosquitto_pub", "-p", str(real_broker.port), "-r", "-t", topic, "-m", "x"], check=True)
    cleared = clear_retained(real_broker.broker, ["s/#"], keep=lambda topic: topic == "s/keep")
    assert cleared == ["s/a", "s/b/c"]
    assert topics_of(real_broker.port, "s") == ["s/keep"]
    assert retained(real_broker.broker, "other/a") == b"x"
