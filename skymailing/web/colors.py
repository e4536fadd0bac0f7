"""Choose a readable text colour for a brand's colour, and write the stylesheet that applies both."""

import re

COLOR = re.compile(r"#[0-9a-f]{6}")
LIGHT, DARK = "#ffffff", "#17212b"


def parse_color(text: str) -> str:
    """Return a colour as "#rrggbb" in lowercase; raises ValueError."""
    color = text.strip().lower()
    if not COLOR.fullmatch(color):
        raise ValueError(text)
    return color


def choose_text_color(color: str) -> str:
    """Return the colour, white or dark, in which text on `color` has more contrast."""
    return max((LIGHT, DARK), key=lambda text: measure_contrast(text, color))


def measure_contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    darker, lighter = sorted((_measure_luminance(first), _measure_luminance(second)))
    return (lighter + 0.05) / (darker + 0.05)


def _measure_luminance(color: str) -> float:
    """Return the relative luminance, from 0 to 1 (WCAG 2.2, "relative luminance")."""
    shares = [int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def write_stylesheet(color: str) -> str:
    """Return CSS that uses the colour for the page's edge and its buttons."""
    text = choose_text_color(color)
    return (
        f":root {{ --accent-fill: {color}; --accent-fill-hover: {color}; }}\n"
        f".btn-primary {{ --bs-btn-color: {text}; --bs-btn-hover-color: {text}; "
        f"--bs-btn-active-color: {text}; }}\n"
    )
