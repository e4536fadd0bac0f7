"""Perform actions and checks in the block editor."""

import io
import json
from typing import Any

from PIL import Image
from playwright.sync_api import Locator, expect

from tests.e2e.editor import expect_mode
from tests.e2e.window import Window

MAX_TABS = 60


class BlockEditor:
    """The block editor in a window."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.page = window.page
        self.canvas = window.page.locator(".bc")
        self.panel = window.page.locator("#bs-block")
        self.types = window.page.locator(".bl-types")

    def open(self, path: str = "/messages/new?kind=blocks") -> None:
        self.window.open(path)
        expect_mode(self.window, "blocks")

    def empty(self) -> None:
        """Delete all blocks with the keyboard."""
        covers = self.covers()
        expect(covers.first).to_be_visible()
        while count := covers.count():
            covers.first.focus()
            self.page.keyboard.press("Delete")
            expect(covers).to_have_count(count - 1)

    def covers(self) -> Locator:
        """Return the buttons that select blocks, in reading order."""
        return self.canvas.locator(".block-cover")

    def labels(self) -> list[str]:
        """Return each block's label for screen readers, without its position."""
        labels = self.canvas.locator(".block > .block-cover").evaluate_all(
            "(nodes) => nodes.map((node) => node.getAttribute('aria-label'))"
        )
        return [label.split(". Block ")[0] for label in labels]

    def block(self, label: str) -> Locator:
        """Return the button of the block whose label begins like this."""
        return self.canvas.get_by_role("button", name=label).first

    def add(self, name: str) -> None:
        """Add a block after the selected one, with the mouse."""
        self.page.get_by_role("tab", name="Add").click()
        self.types.get_by_role("button", name=name, exact=True).click()

    def choose_with_keys(self, name: str) -> None:
        """Move with Tab to a type in the palette, and choose it."""
        self.tab_to(self.types.get_by_role("button", name=name, exact=True))
        self.page.keyboard.press("Enter")

    def add_with_keys(self, name: str) -> None:
        """Move from a field back to the block, through its buttons to the palette, and choose a type."""
        self.page.keyboard.press("Escape")
        expect(self.canvas.locator(".block-selected > .block-cover")).to_be_focused()
        self.tab_to(self.canvas.get_by_role("button", name="Add a block below"))
        self.page.keyboard.press("Enter")
        self.choose_with_keys(name)

    def tab_to(self, element: Locator) -> None:
        """Move with Tab until an element has the focus."""
        for _step in range(MAX_TABS):
            if element.evaluate("(node) => node === document.activeElement"):
                return
            self.page.keyboard.press("Tab")
        raise AssertionError(f"not reached with the keyboard: {element}")

    def fill(self, **values: str) -> None:
        """Fill in the fields of the selected block by their names in designs."""
        for name, value in values.items():
            self.field(name).fill(value)

    def field(self, path: str) -> Locator:
        return self.panel.locator(f'[data-path="{path}"]')

    def upload(self) -> None:
        """Upload a picture into the selected block."""
        picture = io.BytesIO()
        Image.new("RGB", (300, 120), "teal").save(picture, "PNG")
        self.panel.locator("input[type=file]").set_input_files(
            {"name": "x.png", "mimeType": "image/png", "buffer": picture.getvalue()}
        )
        expect(self.panel.locator(".bp-picture")).to_be_visible()

    def column(self, number: int) -> Locator:
        """Return the list of blocks in a column."""
        return self.canvas.locator("[data-nested]").nth(number - 1)

    def drag(self, source: Locator, target: Locator) -> None:
        """Drag an element with the mouse onto another one."""
        source.hover()
        self.page.mouse.down()
        # The first movement starts dragging, and shows empty columns as targets.
        for element in (self.covers().first, target, target):
            element.hover(force=True)
        self.page.mouse.up()

    def design(self) -> dict[str, Any]:
        """Return the design as the form would send it."""
        design: dict[str, Any] = json.loads(self.page.locator("textarea[name=source]").input_value())
        return design

    def save(self, subject: str) -> None:
        """Save the message and wait for its page."""
        self.window.fill(subject=subject)
        self.window.main.get_by_role("button", name="Save", exact=True).click()
        self.window.expect_title(subject)


def list_texts(page_text: str) -> list[str]:
    """Return the lines of a letter that are not empty."""
    return [line.strip() for line in page_text.replace("\u00a0", " ").splitlines() if line.strip()]
