"""The themes: Textual's colours for its widgets, and the styles that the line widgets draw with."""

from textual.theme import BUILTIN_THEMES, Theme

from swarm_tui.ui.look.glyphs import ThemeStyles

DEFAULT = "dark"


def _styles(
    *,
    ok: str,
    busy: str,
    warn: str,
    bad: str,
    wait: str,
    quiet: str,
    key: str,
    accent: str,
    cursor: str,
    rest: str,
    head: str,
    alarm: str,
    caution: str,
    flash: str,
    mark: str,
    match: str,
    bar: str = "",
) -> dict[str, str]:
    return {
        "ok": ok, "busy": busy, "warn": warn, "bad": bad, "wait": wait, "quiet": quiet, "key": key, "accent": accent,
        "cursor": cursor, "rest": rest, "head": head, "head-on": f"{accent} bold {head}".strip(), "alarm": alarm,
        "caution": caution, "flash": flash, "mark": mark, "match": match, "strong": "bold", "plain": "",
        "id": "bold", "topic": accent, "json-key": accent, "json-string": ok, "json-number": busy, "json-word": warn,
        "bar": bar or busy, "track": quiet, "old": f"dim {quiet}",
    }  # fmt: skip


_LOOKS: dict[str, dict[str, str]] = {
    "dark": _styles(
        ok="#7fd88f", busy="#6cb6ff", warn="#f0b64f", bad="bold #ff7b7b", wait="#c3a6ff", quiet="#949eab",
        key="bold #f0b64f", accent="#6cb6ff", cursor="on #1c3450", rest="on #1d2834", head="on #1a212b",
        alarm="bold #ffffff on #b3261e", caution="bold #14100a on #f0b64f", flash="bold", mark="bold #f0b64f",
        match="#14100a on #f0b64f",
    ),
    "light": _styles(
        ok="#146c2e", busy="#0550ae", warn="#8a4b00", bad="bold #b3001b", wait="#6639ba", quiet="#59636e",
        key="bold #8a4b00", accent="#0550ae", cursor="on #c8e1ff", rest="on #e2e8ee", head="on #e6eaef",
        alarm="bold #ffffff on #b3001b", caution="bold #1f1400 on #ffcf70", flash="bold", mark="bold #8a4b00",
        match="#1f1400 on #ffcf70",
    ),
    "high-contrast": _styles(
        ok="bold #00ff5f", busy="bold #5fd7ff", warn="bold #ffd700", bad="bold #ff8080", wait="bold #ffafff",
        quiet="#d0d0d0", key="bold #ffff00", accent="bold #5fd7ff", cursor="bold on #002b87", rest="on #303030",
        head="on #262626", alarm="bold #ffffff on #d70000", caution="bold #000000 on #ffd700", flash="bold underline",
        mark="bold #ffff00", match="#000000 on #ffff00",
    ),
    # Okabe and Ito's colours, which keep apart with any colour vision.
    "colour-blind": _styles(
        ok="#56b4e9", busy="#f0e442", warn="#e69f00", bad="bold #f07f25", wait="#d990b8", quiet="#a2a2a2",
        key="bold #e69f00", accent="#56b4e9", cursor="on #17374d", rest="on #222a31", head="on #1d2227",
        alarm="bold #ffffff on #a34700", caution="bold #000000 on #e69f00", flash="bold", mark="bold #e69f00",
        match="#000000 on #f0e442",
    ),
    "ansi": _styles(
        ok="green", busy="cyan", warn="yellow", bad="bold red", wait="magenta", quiet="bright_black",
        key="bold yellow", accent="cyan", cursor="bold reverse", rest="underline", head="bold",
        bar="cyan on bright_black", alarm="bold white on red",
        caution="black on yellow", flash="bold", mark="bold yellow", match="black on yellow",
    ),
}  # fmt: skip

NAMES = tuple(_LOOKS)


#: Without colours red is a dark grey: what must be loudest is so by its weight.
_WITHOUT_COLOUR = {
    "ok": "", "busy": "", "wait": "", "accent": "", "key": "bold", "mark": "bold", "warn": "bold",
    "bad": "bold reverse", "alarm": "bold reverse", "caution": "reverse", "match": "reverse", "cursor": "reverse",
    "bar": "",
}  # fmt: skip


def look(name: str, *, colour: bool = True) -> ThemeStyles:
    """Return the styles of the theme, or of what is left of it without colour; an unknown name is the default."""
    styles = _LOOKS.get(name, _LOOKS[DEFAULT])
    return ThemeStyles(styles if colour else {**styles, **_WITHOUT_COLOUR})


def themes() -> list[Theme]:
    """Return Textual's side of each theme."""
    return [
        Theme(
            "dark", primary="#6cb6ff", warning="#f0b64f", error="#ff6b6b", success="#7fd88f", accent="#6cb6ff",
            foreground="#d7dde5", background="#10151c", surface="#161d26", panel="#1a212b",
            variables={"field": "#1f2834", "field-on": "#2b4a6e", "field-text": "#ffffff"},
        ),
        Theme(
            "light", primary="#0550ae", warning="#8a4b00", error="#b3001b", success="#1a7f37", accent="#0550ae",
            foreground="#1f2328", background="#ffffff", surface="#f3f5f8", panel="#e6eaef", dark=False,
            variables={"field": "#e6eaef", "field-on": "#b4d3fa", "field-text": "#000000"},
        ),
        Theme(
            "high-contrast", primary="#ffff00", warning="#ffd700", error="#ff5f5f", success="#00ff5f", accent="#5fd7ff",
            foreground="#ffffff", background="#000000", surface="#000000", panel="#262626", text_alpha=1.0,
            variables={"field": "#262626", "field-on": "#0046d5", "field-text": "#ffffff"},
        ),
        Theme(
            "colour-blind", primary="#56b4e9", warning="#e69f00", error="#d55e00", success="#56b4e9", accent="#56b4e9",
            foreground="#e4e4e4", background="#12161a", surface="#171c21", panel="#1d2227",
            variables={"field": "#232b32", "field-on": "#27536f", "field-text": "#ffffff"},
        ),
        Theme(
            "ansi", primary="ansi_blue", warning="ansi_yellow", error="ansi_red", success="ansi_green",
            accent="ansi_cyan", foreground="ansi_default", background="ansi_default", surface="ansi_default",
            panel="ansi_default", boost="ansi_default", ansi=True,
            variables={
                **BUILTIN_THEMES["ansi-dark"].variables,
                "field": "ansi_bright_black", "field-on": "ansi_blue", "field-text": "ansi_bright_white",
            },
        ),
    ]  # fmt: skip
