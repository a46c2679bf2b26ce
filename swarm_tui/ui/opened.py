"""The real source of a swarm: its bus, its panes, its task types, made from what is known of it."""

import socket
from contextlib import suppress
from pathlib import Path

from swarm_tui.bus.mqtt import MqttBus
from swarm_tui.client.operator import Operator
from swarm_tui.config.errors import ConfigError
from swarm_tui.config.home import user_name
from swarm_tui.config.model import Broker, Layout
from swarm_tui.config.paths import state_dir
from swarm_tui.config.running import Running
from swarm_tui.config.urls import shown_url
from swarm_tui.ui.catalogue import types_of
from swarm_tui.ui.live import LiveSource, NoPanes
from swarm_tui.ui.source import Facts, Panes


def open_source(swarm: str, broker: Broker, running: Running | None, layout: Layout | None) -> LiveSource:
    """The source; nothing connects before it is started."""
    user, host = user_name(), (running.host if running else socket.gethostname().split(".")[0])
    bus = MqttBus(broker, client_id=f"screen-{user}-{host}-{id(broker) & 0xFFFFFF:06x}"[:64])
    operator = Operator(bus, swarm, user=user, host=host)
    facts = Facts(
        swarm=swarm,
        broker=shown_url(broker.url),
        embedded=bool(running and running.embedded),
        session=running.session if running else None,
        host=host,
        user=user,
        types=types_of(layout if layout is not None else _layout(running)),
        layout=running.layout_path if running else None,
    )
    return LiveSource(operator, facts, _panes(running), state_dir(swarm))


def _layout(running: Running | None) -> Layout | None:
    if running is None:
        return None
    import os

    from swarm_tui.config.load import load_layout

    with suppress(ConfigError, OSError):
        return load_layout(Path(running.layout_path), os.environ).layout
    return None


def _panes(running: Running | None) -> Panes:
    """This host's panes, where the swarm was brought up here."""
    if running is None:
        return NoPanes()
    from swarm_tui.tmux.server import Tmux
    from swarm_tui.ui.tmuxpanes import TmuxPanes

    return TmuxPanes(Tmux(running.socket), running.session)
