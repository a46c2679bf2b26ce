"""Draw the pictures of the README: `python -m tests.screenshot [FOLDER]`, docs/ by default."""

import asyncio
import sys
from pathlib import Path

from tests.ui.picture import svg

PICTURES: dict[str, tuple[str, tuple[int, int], list[str]]] = {
    "screen": ("trouble", (120, 40), []),
    "screen-small": ("trouble", (80, 24), []),
    "task": ("trouble", (100, 30), ["tab", "enter"]),
    "form": ("calm", (100, 30), ["n", "type:review", "enter", "type:src"]),
    "wall": ("calm", (120, 40), ["w"]),
}


def main(argv: list[str]) -> None:
    """Write each as SVG."""
    folder = Path(argv[0]) if argv else Path(__file__).parent.parent / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    for name, (scene, size, keys) in PICTURES.items():
        drawn = asyncio.run(svg(scene, size, keys))
        (folder / f"{name}.svg").write_text(drawn)
        print(folder / f"{name}.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
