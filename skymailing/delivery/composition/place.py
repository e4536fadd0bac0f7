"""The place where a block is written, and the attributes of its tables."""

from dataclasses import dataclass

from skymailing.delivery.composition.palette import OwnerBrand, Palette

TABLE = '<table role="presentation" border="0" cellpadding="0" cellspacing="0"'


@dataclass(frozen=True, slots=True)
class Place:
    """The context on which a block's content depends, in addition to its fields."""

    palette: Palette
    brand: OwnerBrand
    language: str
    width: int  # pixels inside the block's own spacing
    has_own_color: bool = False
    content: str = ""  # the HTML in the place of a layout's content block

    def text_class(self, name: str = "t") -> str:
        """Return the class that dark mode recolours, unless the block has its own colours."""
        return "" if self.has_own_color else f' class="{name}"'


def align_table(align: str) -> str:
    """Return the attribute that aligns a table; "left" would make the text after the table flow around it."""
    return "" if align == "left" else f' align="{align}"'
