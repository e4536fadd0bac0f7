"""Choose a letter's font and colours, also for dark mode: its own, its owner's or the default ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from skymailing.delivery.composition.fonts import DEFAULT_FONT, FONTS
from skymailing.web.colors import choose_text_color, measure_contrast

BACKGROUND, CARD, TEXT, ACCENT = "#f2f4f7", "#ffffff", "#1f2933", "#0b63ce"
MUTED = "#6b7480"
LINE = "#d5dae1"
DARK_BACKGROUND, DARK_CARD, DARK_TEXT, DARK_LINK = "#121417", "#1d2126", "#e8eaed", "#8ab8ff"
DARK_MUTED, DARK_LINE = "#a3abb6", "#3d444d"
OWN_SETTINGS = ("font", "text", "link", "button", "background")
READABLE = 4.5  # the least contrast of text (WCAG 2.2, 1.4.3)


@dataclass(frozen=True, slots=True)
class OwnerBrand:
    """The parts of an owner's brand that letters use; all may be empty."""

    name: str = ""
    website: str = ""
    color: str = ""
    logo_url: str = ""
    font: str = ""
    text: str = ""
    link: str = ""
    button: str = ""
    background: str = ""
    address: str = ""
    links: tuple[str, ...] = ()

    @property
    def chosen(self) -> frozenset[str]:
        """The settings of a document for which the brand has its own value."""
        accent = {"link", "button"} if self.color else set()
        return frozenset(accent | {name for name in OWN_SETTINGS if getattr(self, name)})


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours and the font of a letter."""

    background: str
    card: str
    text: str
    link: str
    button: str
    button_text: str
    muted: str
    line: str
    font: str
    text_size: int
    # Rules for dark mode, by class name; parts that are already dark have none.
    dark: Mapping[str, str]

    @classmethod
    def choose(cls, settings: Mapping[str, Any], brand: OwnerBrand) -> "Palette":
        """Return the palette of a document's settings."""
        card = settings["card"] or CARD
        default_text = TEXT if is_light(card) else DARK_TEXT
        text = settings["text"] or choose_readable(card, brand.text, default=default_text)
        accent = brand.color or ACCENT
        default_link = choose_readable(card, brand.link, accent, default=text)
        button = settings["button"] or brand.button or accent
        background = settings["background"] or brand.background or BACKGROUND
        return cls(
            background=background,
            card=card,
            text=text,
            link=settings["link"] or default_link,
            button=button,
            button_text=choose_text_color(button),
            muted=MUTED if is_light(card) else DARK_MUTED,
            line=LINE if is_light(card) else DARK_LINE,
            font=FONTS[settings["font"] or brand.font or DEFAULT_FONT],
            text_size=settings["text_size"],
            dark=list_dark_rules(background, card),
        )


def choose_readable(card: str, *colors: str, default: str) -> str:
    """Return the first colour that is readable on the card: a brand's colour may be too light for text."""
    readable = (color for color in colors if color and measure_contrast(color, card) >= READABLE)
    return next(readable, default)


def is_light(color: str) -> bool:
    return choose_text_color(color) != "#ffffff"


def list_dark_rules(background: str, card: str) -> dict[str, str]:
    """Return the rules of dark mode by class: only light parts become dark."""
    rules = {}
    if is_light(background):
        rules["page"] = f"background:{DARK_BACKGROUND}"
    if is_light(card):
        rules |= {
            "card": f"background:{DARK_CARD}",
            "t": f"color:{DARK_TEXT}",
            "a": f"color:{DARK_LINK}",
            "m": f"color:{DARK_MUTED}",
            "l": f"border-color:{DARK_LINE}",
        }
    return rules
