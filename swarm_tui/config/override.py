"""Flags over environment over file: what changes a layout from outside, said in a sentence each."""

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from swarm_tui.config.model import Layout
from swarm_tui.config.urls import check_url, is_loopback, shown_url
from swarm_tui.protocol.names import InvalidNameError, check_swarm


class Overridden(Struct, frozen=True, kw_only=True):
    """The layout as it will run; `mistakes` are pairs of where (`--broker`, `MQTT_BROKER`) and why."""

    layout: Layout
    notes: list[str] = []
    confirm: list[str] = []
    mistakes: list[tuple[str, str]] = []


def override(
    layout: Layout, environ: Mapping[str, str], *, broker: str | None = None, swarm: str | None = None
) -> Overridden:
    """Apply `--broker`, `--swarm` and MQTT_BROKER, OPENCTO_SWARM, MQTT_USERNAME, MQTT_PASSWORD."""
    notes: list[str] = []
    confirm: list[str] = []
    mistakes: list[tuple[str, str]] = []
    settings = layout.broker
    url, source = _first((broker, "--broker"), (environ.get("MQTT_BROKER"), "MQTT_BROKER"))
    if url and (reason := check_url(url)):
        mistakes.append((source, reason))
    elif url and url != settings.url:
        notes.append(f"{source} changes the layout's broker from {shown_url(settings.url)} to {shown_url(url)}")
        if source == "MQTT_BROKER" and not is_loopback(url):
            confirm.append(f"MQTT_BROKER points this swarm at {shown_url(url)}, which is not this machine. Go on?")
        settings = msgspec.structs.replace(settings, url=url)
    for variable, field in (("MQTT_USERNAME", "username"), ("MQTT_PASSWORD", "password")):
        value = environ.get(variable)
        if value and value != getattr(settings, field):
            if getattr(settings, field) is not None:
                notes.append(f"{variable} changes the broker's {field}")
            settings = msgspec.structs.replace(settings, **{field: value})
    name, source = _first((swarm, "--swarm"), (environ.get("OPENCTO_SWARM"), "OPENCTO_SWARM"))
    if name and name != layout.swarm:
        try:
            check_swarm(name)
            notes.append(f"{source} changes the swarm's name from {layout.swarm} to {name}")
        except InvalidNameError as error:
            mistakes.append((source, str(error)))
    changed = msgspec.structs.replace(layout, broker=settings, swarm=name or layout.swarm)
    return Overridden(layout=changed, notes=notes, confirm=confirm, mistakes=mistakes)


def _first(*choices: tuple[str | None, str]) -> tuple[str | None, str]:
    return next(((value, source) for value, source in choices if value), (None, ""))
