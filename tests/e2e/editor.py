"""What a person does at the message editor."""

from playwright.sync_api import FrameLocator, expect

from skymailing.models import Message, User
from tests.e2e.site import Site
from tests.e2e.window import Window
from tests.support.factories import MessageFactory

TABLE = """<p>Hello, {{ name | default: "you & me" }}!</p>
<table><tr><td style="color: red">A > B</td></tr></table>
"""


def add_message(site: Site, owner: User, **values: object) -> int:
    with site.adding() as session:
        message: Message = MessageFactory.create(owner=session.get_one(User, owner.id), **values)
    return message.id


def body(window: Window) -> str:
    return window.page.locator("textarea[name=body]").input_value()


def letter(window: Window) -> FrameLocator:
    return window.page.frame_locator("#preview iframe:not(.letter-frame-coming)")


def mode(window: Window, name: str) -> None:
    window.main.locator(f".modes [data-mode={name}]").check(force=True)


def expect_draft(window: Window) -> None:
    expect(window.page.locator(".draft-state")).to_contain_text("Draft kept", timeout=15_000)
