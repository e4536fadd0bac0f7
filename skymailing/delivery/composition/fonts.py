"""The fonts of letters: stacks of preinstalled fonts, because letters load none."""

SYSTEM = "-apple-system, 'Segoe UI', Roboto, Arial, sans-serif"
DEFAULT_FONT = "sans"
FONTS = {
    "sans": SYSTEM,
    "arial": "Arial, Helvetica, sans-serif",
    "verdana": "Verdana, Geneva, sans-serif",
    "tahoma": "Tahoma, Geneva, sans-serif",
    "trebuchet": "'Trebuchet MS', Tahoma, sans-serif",
    "georgia": "Georgia, 'Times New Roman', serif",
    "times": "'Times New Roman', Times, serif",
    "courier": "'Courier New', Courier, monospace",
}
