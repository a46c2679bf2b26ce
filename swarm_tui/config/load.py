"""Layouts: where they are found, and how one becomes structs."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from swarm_tui.config.broker_files import complete, risks, with_ca
from swarm_tui.config.check import check_layout, idle_roles, stray_placeholders
from swarm_tui.config.document import Document, Where, near, read_document
from swarm_tui.config.errors import ConfigError, Problem, UnknownLayoutError
from swarm_tui.config.home import at_home
from swarm_tui.config.model import Layout
from swarm_tui.config.paths import SHIPPED as SHIPPED
from swarm_tui.config.paths import config_home
from swarm_tui.config.paths import shipped_layouts as shipped_layouts
from swarm_tui.config.schedules import with_workflows
from swarm_tui.config.shape import fit
from swarm_tui.config.urls import SECURE_SCHEMES, check_url, is_loopback, shown_url, split_url
from swarm_tui.protocol.names import InvalidNameError, check_swarm


class Loaded(Struct, frozen=True, kw_only=True):
    """A layout ready to run.

    `workdir` is absolute. `notes` are sentences for the person who starts it (what the environment changed);
    `confirm` are questions to put before it starts: the environment points it at a broker that is not on loopback.
    """

    layout: Layout
    path: Path
    workdir: Path
    notes: list[str] = []
    confirm: list[str] = []


def layout_folders(cwd: Path) -> list[tuple[str, Path]]:
    """Where a layout is looked for by name, first wins: a word for people, and the folder."""
    return [
        ("./layouts", cwd / "layouts"),
        ("your config folder", config_home() / "layouts"),
        ("your config folder", config_home()),
        (SHIPPED, shipped_layouts()),
    ]


def known_layouts(cwd: Path) -> dict[str, tuple[str, Path]]:
    """Every layout that a name finds: name to (where, path)."""
    found: dict[str, tuple[str, Path]] = {}
    for where, folder in layout_folders(cwd):
        for path in sorted([*folder.glob("*.yml"), *folder.glob("*.yaml")]):
            if not (folder == config_home() and path.stem == "config"):
                found.setdefault(path.stem, (where, path))
    return found


def find_layout(name_or_path: str, cwd: Path) -> Path:
    """The layout's file. What holds a `/` or ends in .yml or .yaml is a path, all else a name.

    Raises UnknownLayoutError, which lists those found.
    """
    if "/" in name_or_path or name_or_path.endswith((".yml", ".yaml")):
        path = cwd / at_home(name_or_path)
        if reason := _no_file(path):
            raise UnknownLayoutError([Problem(name_or_path, 0, 0, reason)])
        return path
    known = known_layouts(cwd)
    if name_or_path in known:
        return known[name_or_path][1]
    listed = ", ".join(f"{name} ({where})" for name, (where, _) in sorted(known.items())) or "none"
    hint = near(name_or_path, sorted(known)) if known else ""
    meant = hint if "did you mean" in hint else ""
    raise UnknownLayoutError([Problem(name_or_path, 0, 0, f"no layout of that name{meant}; found: {listed}")])


def _no_file(path: Path) -> str:
    """Why there is no layout to read at `path`; empty when there is a file."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return "no such file"
    except OSError as error:
        return f"cannot be read: {error.strerror or error}"
    if stat.S_ISREG(mode):
        return ""
    return "is a folder, not a layout" if stat.S_ISDIR(mode) else "is a device or a pipe, not a layout's file"


def load_layout(
    path: Path,
    environ: Mapping[str, str] | None = None,
    *,
    cwd: Path | None = None,
    broker: str | None = None,
    swarm: str | None = None,
    show: str | None = None,
) -> Loaded:
    """Read, check and complete a layout. Raises ConfigError with every mistake found.

    `broker` and `swarm` are flags, which win over the environment, which wins over the file. A relative `workdir` is
    relative to `cwd`, the folder the person works in, wherever the layout itself lies; the broker's certificates and
    password file start in the layout's own folder.
    """
    environ = os.environ if environ is None else environ
    document = read_document(path, environ, show=show)
    layout = fit(document, Layout)
    layout = msgspec.structs.replace(layout, broker=complete(document, layout.broker, path.absolute()))
    check_layout(document, layout)
    layout = with_workflows(document, layout, cwd or Path.cwd())
    if document.problems:
        raise ConfigError(document.problems)
    if layout.broker.secure:
        layout = msgspec.structs.replace(layout, policy=msgspec.structs.replace(layout.policy, guests="none"))
    overridden = override(layout, environ, broker=broker, swarm=swarm)
    if overridden.mistakes:
        raise ConfigError([Problem(name, 0, 0, reason) for name, reason in overridden.mistakes])
    workdir = ((cwd or Path.cwd()) / at_home(layout.workdir)).resolve()
    return Loaded(
        layout=overridden.layout,
        path=path.resolve(),
        workdir=workdir,
        notes=[
            *idle_roles(layout),
            *stray_placeholders(document, layout),
            *_missing_folders(document, layout, workdir),
            *risks(document, layout.broker, path),
            *overridden.notes,
        ],
        confirm=overridden.confirm,
    )


def _missing_folders(document: Document, layout: Layout, workdir: Path) -> list[str]:
    """A sentence for each `workdir` that is not there: agents start without it, and their work fails."""
    own: list[Where] = [("agents", index, "workdir") for index, entry in enumerate(layout.agents) if entry.workdir]
    said = []
    for where in [("workdir",), *own]:
        folder = workdir if where == ("workdir",) else workdir / at_home(document.texts.get(where, "."))
        if not folder.is_dir():
            line, column = document.places.get(where, (1, 1))
            said.append(
                f"{document.file}:{line}:{column}: `workdir`: {folder} is not there, so work in it fails: make it"
            )
    return said


def layout_schema() -> dict[str, object]:
    """The JSON Schema of a layout, for editors."""
    schema = msgspec.json.schema(Layout)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "swarm-tui layout", **schema}


class Overridden(Struct, frozen=True, kw_only=True):
    """The layout as it will run; `mistakes` are pairs of where (`--broker`, `MQTT_BROKER`) and why."""

    layout: Layout
    notes: list[str] = []
    confirm: list[str] = []
    mistakes: list[tuple[str, str]] = []


def override(
    layout: Layout, environ: Mapping[str, str], *, broker: str | None = None, swarm: str | None = None
) -> Overridden:
    """Apply `--broker`, `--swarm` and MQTT_BROKER, OPENCTO_SWARM, MQTT_USERNAME, MQTT_PASSWORD, MQTT_CA."""
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
    if settings.secure and url and not mistakes and split_url(url).place.scheme not in SECURE_SCHEMES:
        mistakes.append(
            (source, f"the layout says `secure: true`, and {shown_url(url)} is without TLS: write mqtts://")
        )
    settings = with_ca(settings, environ)
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
