"""Generate designs in which each text is unique, so that tests can find it in the letter."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from skymailing.delivery.composition.networks import NETWORKS

# Text that converters could misread, around a unique word.
NOISE = st.sampled_from(["", "<b>", "& ", "{ ", "} ", "&amp; ", "{", "«»", "щ😀 ", "a  b "])
LIQUID = st.sampled_from(
    ["", "{{ name }}", '{{ client.city | default: "a<b" }}', "{% if 1 < 2 %}ok{% endif %}"]
)
COLORS = st.sampled_from(["", "#ffffff", "#000000", "#0B63CE", "#c0392b"])
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass
class Marks:
    """The words that must be visible in the letter, and those in the alternative texts of pictures."""

    shown: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    count: int = 0

    def number(self) -> int:
        self.count += 1
        return self.count


class Maker:
    """Make blocks of each type."""

    def __init__(self, draw: Draw) -> None:
        self.draw = draw
        self.marks = Marks()

    def text(self, *, is_shown: bool = True) -> str:
        word = f"word{self.marks.number()}z"
        (self.marks.shown if is_shown else self.marks.pictures).append(word)
        return f"{self.draw(NOISE)}{word}{self.draw(NOISE)} {self.draw(LIQUID)}"

    def url(self) -> str:
        url = f'https://shop.example/{self.marks.number()}?a=1&b="<'
        self.marks.urls.append(url)
        return url

    def delta(self) -> dict[str, Any]:
        inline = st.fixed_dictionaries(
            {},
            optional={
                "bold": st.booleans(),
                "italic": st.just(True),
                "color": st.sampled_from(["#c0392b"]),
                "size": st.sampled_from(["small", "huge"]),
            },
        )
        of_line = st.sampled_from(
            [{}, {"header": 2}, {"list": "bullet"}, {"list": "ordered", "indent": 1}, {"align": "center"}]
        )
        ops: list[dict[str, Any]] = []
        for _ in range(self.draw(st.integers(1, 4))):
            ops.append({"insert": self.text(), "attributes": self.draw(inline)})
            if self.draw(st.booleans()):
                ops.append({"insert": {"placeholder": "{{ name }}"}})
            if self.draw(st.booleans()):
                ops.append({"insert": self.text(), "attributes": {"link": self.url()}})
            ops.append({"insert": "\n", "attributes": self.draw(of_line)})
        return {"ops": ops}

    def fields(self, type_name: str) -> dict[str, Any]:  # noqa: C901 - one case per type
        match type_name:
            case "text":
                return {"delta": self.delta()}
            case "heading":
                return {"text": self.text(), "level": self.draw(st.integers(1, 3))}
            case "picture":
                return {"src": self.url(), "alt": self.text(is_shown=False), "link": self.url()}
            case "logo":
                return {"link": self.url()}
            case "button":
                is_full = self.draw(st.booleans())
                return {"text": self.text(), "url": self.url(), "is_full_width": is_full}
            case "divider" | "space":
                return {}
            case "social":
                names = self.draw(st.lists(st.sampled_from(list(NETWORKS)), max_size=3))
                return {"links": [{"network": name, "url": self.url()} for name in names]}
            case "product":
                texts = {name: self.text() for name in ("title", "text", "price", "old_price", "button")}
                layout = self.draw(st.sampled_from(["top", "left"]))
                picture = {"src": self.url(), "alt": self.text(is_shown=False)}
                return texts | picture | {"url": self.url(), "layout": layout}
            case "code":
                word = f"word{self.marks.number()}z"
                self.marks.shown.append(word)
                return {"html": f"<div><p>{word}<br></div>"}
            case "footer":
                return {"text": self.text(), "has_preferences": self.draw(st.booleans())}
            case _:
                return {"text": self.text()}

    def block(self, *, is_nested: bool) -> dict[str, Any]:
        types = sorted(TYPES - {"columns"} if is_nested else TYPES)
        type_name = self.draw(st.sampled_from(types))
        if type_name == "columns":
            count = self.draw(st.integers(2, 3))
            fields: dict[str, Any] = {
                "columns": [{"blocks": self.blocks(is_nested=True)} for _ in range(count)]
            }
        else:
            fields = self.fields(type_name)
        style = {"background": self.draw(COLORS), "align": self.draw(st.sampled_from(["left", "right"]))}
        return {"id": f"b{self.marks.number()}", "type": type_name, "style": style, **fields}

    def blocks(self, *, is_nested: bool) -> list[dict[str, Any]]:
        count = self.draw(st.integers(0, 2 if is_nested else 6))
        return [self.block(is_nested=is_nested) for _ in range(count)]


TYPES = frozenset(
    "text heading picture logo button columns divider space social product code footer unsubscribe".split()
)


@st.composite
def designs(draw: Draw) -> tuple[dict[str, Any], Marks]:
    """Return a design, and the words and URLs in it."""
    maker = Maker(draw)
    settings = {name: draw(COLORS) for name in ("background", "card", "text", "link", "button")}
    blocks = maker.blocks(is_nested=False)
    return {"version": 1, "settings": settings, "blocks": blocks}, maker.marks


def make_design(*blocks: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """Return a design of these blocks, each of which gets an ID."""
    numbered = [{"id": f"b{number}", **block} for number, block in enumerate(blocks)]
    return {"version": 1, "settings": settings, "blocks": numbered}
