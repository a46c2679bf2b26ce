"""The screen as a picture, to look at: `python -m tests.ui.picture SCENE WIDTHxHEIGHT FILE.png [keys…]`."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

from swarm_tui.ui.app import SwarmApp
from tests.ui import scenes
from tests.ui.fake import Clock


async def svg(scene: str, size: tuple[int, int], keys: list[str], passes: float = 0.0, theme: str | None = None) -> str:
    """The SVG of a scene after some keys."""
    clock = Clock()
    source = scenes.build(clock)
    app = DrawnApp(source, clock=clock, timers=False)
    async with app.run_test(size=size) as pilot:
        if theme:
            app._use_theme(theme)
        if scene != "empty":
            getattr(scenes, scene)(source, clock)
        else:
            source.link(True)
        await settle(app, pilot, clock)
        clock.pass_(passes)
        await settle(app, pilot, clock)
        for key in keys:
            await (pilot.press(*key[5:]) if key.startswith("type:") else pilot.press(key))
            await pilot.pause()
            app.updates.drain()
        await settle(app, pilot, clock)
        return app.export_screenshot()


class DrawnApp(SwarmApp):
    """Its pictures name no font that must be fetched."""

    def export_screenshot(self, *, title: str | None = None, simplify: bool = False) -> str:
        drawn = super().export_screenshot(title=title, simplify=simplify)
        drawn = re.sub(r"@font-face\s*\{[^}]*\}", "", drawn)
        drawn = re.sub(r"<!-- Generated.*?-->", "", drawn)
        return drawn.replace("Fira Code", "DejaVu Sans Mono")


async def settle(app: SwarmApp, pilot: object, clock: Clock) -> None:
    """Let all that was said be drawn."""
    app.updates.drain()
    app.updates.tick()
    await pilot.pause()  # type: ignore[attr-defined]
    app.updates.drain()
    await pilot.pause()  # type: ignore[attr-defined]


def main(argv: list[str]) -> None:
    """Write the picture."""
    scene, size, target, *keys = argv
    theme = None
    if keys and keys[0].startswith("theme="):
        theme = keys.pop(0)[6:]
    width, height = (int(part) for part in size.split("x"))
    passes = 14.0 if scene == "lost" else 0.0
    text = asyncio.run(svg(scene, (width, height), keys, passes, theme))
    text = text.replace("<text ", '<text xml:space="preserve" ')
    path = Path(target)
    path.with_suffix(".svg").write_text(text)
    subprocess.run(["rsvg-convert", "-o", target, str(path.with_suffix(".svg"))], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
