"""swarm-tui: run, watch and steer a swarm of AI agents over MQTT."""

__version__ = "0.2.0.dev0"
