"""Perform actions and checks in the message editor."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs

from playwright.sync_api import FrameLocator, Locator, Request, expect

from skymailing.models import Message, User
from tests.e2e.site import Site
from tests.e2e.window import Window
from tests.support.factories import MessageFactory

TABLE = """<p>Hello, {{ name | default: "you & me" }}!</p>
<table><tr><td style="color: red">A > B</td></tr></table>
"""
# Uses Quill's index, because the effect of a click or the End key depends on fonts and the window's width.
PLACE_CURSOR_AT_END = """(node) => {
    const quill = Quill.find(node.closest(".ql-container")), line = Quill.find(node);
    quill.setSelection(quill.getIndex(line) + line.length() - 1, 0, "user");
}"""


def add_message(site: Site, owner: User, **values: object) -> int:
    with site.open_session() as session:
        message: Message = MessageFactory.create(owner=session.get_one(User, owner.id), **values)
    return message.id


def open_editor(window: Window, path: str) -> None:
    """Open an editor page and wait until the editor is ready."""
    window.open(path)
    expect_mode(window, "")


def expect_mode(window: Window, name: str) -> None:
    """Wait until the editor has opened a mode, and everything that surrounds the text has loaded."""
    editor = window.page.locator("[data-editor][data-ready]")
    expect(editor).to_have_attribute("data-mode", re.compile(name or "."))


def choose_mode(window: Window, name: str) -> None:
    """Choose a mode by clicking its label, which covers the radio button."""
    window.main.locator(f".modes [data-mode={name}]").dispatch_event("click")


def place_cursor_at_end(line: Locator) -> None:
    """Place the cursor at the end of a paragraph in writing mode."""
    line.evaluate(PLACE_CURSOR_AT_END)
    expect(line.page.locator(".ql-editor")).to_be_focused()


def body(window: Window) -> str:
    return window.page.locator("textarea[name=body]").input_value()


def expect_in_body(window: Window, text: str) -> None:
    expect(window.page.locator("textarea[name=body]")).to_have_value(re.compile(re.escape(text)))


def letter(window: Window) -> FrameLocator:
    return window.page.frame_locator("#preview iframe:not(.letter-frame-coming)")


@contextmanager
def saving_draft(window: Window, text: str) -> Iterator[None]:
    """Wait until a draft with `text`, typed in the block, has been saved or has caused a conflict."""

    def has_text(request: Request) -> bool:
        values = parse_qs(request.post_data or "")
        return "/draft" in request.url and any(
            text in "".join(values.get(name, [])) for name in ("subject", "body")
        )

    with window.page.expect_response(lambda response: has_text(response.request)):
        yield


def expect_draft(window: Window) -> None:
    expect(window.page.locator(".draft-state")).to_contain_text("Draft saved")
