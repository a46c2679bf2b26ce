"""The running swarm behind the screen: bus, panes, the past, attach."""
