"""Test the block editor in a real browser: a letter built by mouse or by keyboard arrives unchanged."""

from playwright.sync_api import expect

from skymailing.models import User
from tests.e2e.blocks import BlockEditor, list_texts
from tests.e2e.conftest import OpenWindow
from tests.e2e.editor import letter
from tests.e2e.mailbox import Mailbox
from tests.e2e.site import Site
from tests.e2e.window import PHONE, Window

HEADING = "Spring fair <3"
NEWS = "Bread & cakes, fresh at seven."
LEFT, RIGHT = "Left column", "Right column"


def receive(site: Site, owner: User, window: Window, subject: str) -> list[str]:
    """Send a test letter of the open message; return the texts that arrive, in order."""
    window.main.get_by_role("button", name="Send test email").click()
    window.expect_notice("Test email sent")
    mailbox = Mailbox(site, owner.email, window)
    mailbox.open(f"[Test] {subject}")
    return list_texts(window.page.locator("body").inner_text())


def build_by_mouse(editor: BlockEditor) -> None:
    """Build a letter of ten kinds of blocks, one after another."""
    editor.add("Heading")
    editor.fill(text=HEADING)
    editor.add("Text")
    expect(editor.page.locator(".bt .ql-editor")).to_be_focused()
    editor.page.keyboard.type(NEWS)
    editor.add("Image")
    editor.upload()
    editor.fill(alt="A teal wall")
    editor.add("Button")
    editor.fill(text="Order now", url="shop.example/?a=1&b=2")
    editor.add("Divider")
    editor.add("Columns")
    for number, text in ((1, LEFT), (2, RIGHT)):
        editor.canvas.get_by_role("button", name=f"Add to column {number}").click()
        editor.types.get_by_role("button", name="Heading").click()
        editor.fill(text=text)
    editor.add("Product")
    editor.add("Spacer")
    editor.block("Product").click()
    editor.fill(title="Rye loaf", price="3 €", old_price="4 €", button="Buy", url="https://shop.example/rye")
    editor.block("Spacer").click()
    editor.add("Social links")
    editor.fill(**{"links/0": "facebook.com/rose"})
    editor.add("HTML code")
    editor.fill(html="<p>Raw <b>code</b></p>")
    editor.add("Footer")
    editor.fill(text="Main Street 1")


def build_by_keyboard(editor: BlockEditor) -> None:
    """Build a letter without the mouse, starting at the subject."""
    keyboard = editor.page.keyboard
    editor.choose_with_keys("Text")
    expect(editor.page.locator(".bt .ql-editor")).to_be_focused()
    keyboard.type(NEWS)
    editor.add_with_keys("Heading")
    expect(editor.field("text")).to_be_focused()
    keyboard.type(HEADING)
    keyboard.press("Escape")
    keyboard.press("Alt+ArrowUp")
    expect(editor.page.locator(".bc-live")).to_have_text(f"Moved: Heading: {HEADING}, now 1 of 2")
    assert editor.labels() == [f"Heading: {HEADING}", f"Text: {NEWS}"]
    keyboard.press("ArrowDown")
    expect(editor.block("Text")).to_be_focused()
    keyboard.press("Enter")
    keyboard.type(" Come!")
    editor.add_with_keys("Divider")
    editor.add_with_keys("Button")
    keyboard.type("Order now")
    keyboard.press("Tab")
    keyboard.press("Tab")
    keyboard.type("shop.example")
    for name in ("Columns", "Image", "Social links", "Spacer", "Product", "Footer"):
        editor.add_with_keys(name)
    keyboard.type(", Main Street 1")
    keyboard.press("Escape")
    for _step in range(4):
        keyboard.press("ArrowUp")
    expect(editor.block("Image")).to_be_focused()
    keyboard.press("Delete")
    expect(editor.page.locator(".bc-live")).to_have_text("Deleted: Image")


def test_a_letter_of_ten_kinds_of_blocks_is_built_by_mouse_and_arrives(
    window: Window, site: Site, owner: User
) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.empty()
    build_by_mouse(editor)
    editor.save("Ten kinds")
    texts = receive(site, owner, window, "Ten kinds")

    assert texts[:9] == [HEADING, NEWS, "Order now", LEFT, RIGHT, "Rye loaf", "3 €  4 €", "Buy", "f"]
    assert texts[9:] == ["Raw code", "Main Street 1", "Unsubscribe"]
    links = window.page.locator("a").evaluate_all("(links) => links.map((link) => link.href)")
    assert links[:3] == [
        "https://shop.example/?a=1&b=2",
        "https://shop.example/rye",
        "https://facebook.com/rose",
    ]
    assert window.page.get_by_alt_text("A teal wall").count() == 1


def test_a_letter_is_built_by_keyboard_alone_and_arrives(window: Window, site: Site, owner: User) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.empty()
    window.page.locator("[name=subject]").focus()
    window.page.keyboard.type("By keyboard")

    build_by_keyboard(editor)
    editor.tab_to(window.main.get_by_role("button", name="Save", exact=True))
    window.page.keyboard.press("Enter")
    window.expect_title("By keyboard")
    texts = receive(site, owner, window, "By keyboard")

    assert texts == [HEADING, f"{NEWS} Come!", "Order now", f"{owner.name}, Main Street 1", "Unsubscribe"]
    assert window.page.locator("a").first.get_attribute("href") == "https://shop.example"


def test_the_editor_is_usable_on_a_phone(open_window: OpenWindow, owner: User) -> None:
    window = open_window(PHONE)
    window.sign_in(owner.email)
    editor = BlockEditor(window)
    editor.open()
    sheet = window.page.locator(".bs")
    expect(sheet).to_be_hidden()
    editor.block("Heading").click()
    window.page.get_by_role("button", name="Add", exact=True).click()
    editor.types.get_by_role("button", name="Heading", exact=True).click()
    expect(sheet).to_be_hidden()
    # The fields are below their block, and keep the focus while the block is drawn again.
    field = editor.canvas.locator('.block-selected [data-path="text"]')
    field.press_sequentially("From a phone")
    expect(field).to_be_focused()
    expect(field).to_have_value("From a phone")
    expect(editor.canvas.locator(".block-selected .bv-heading")).to_have_text("From a phone")
    window.expect_to_fit()
    window.page.get_by_role("button", name="Preview", exact=True).click()
    expect(letter(window).get_by_text("From a phone")).to_be_visible()
    window.expect_to_fit()
    window.page.get_by_role("button", name="Back to editing").click()
    editor.save("From a phone")


def test_blocks_are_dragged_within_the_letter_into_columns_and_from_the_palette(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.empty()
    editor.add("Columns")
    editor.add("Button")
    editor.fill(text="Order now")
    editor.drag(editor.block("Button"), editor.column(1))
    expect(editor.canvas.locator("[data-nested] .block[data-type=button]")).to_have_count(1)
    column = editor.design()["blocks"][0]["columns"][0]
    assert [block["text"] for block in column["blocks"]] == ["Order now"]

    window.page.get_by_role("tab", name="Add").click()
    editor.drag(
        editor.types.get_by_role("button", name="Heading", exact=True),
        editor.column(2),
    )
    expect(editor.canvas.locator("[data-nested] .block[data-type=heading]")).to_have_count(1)
    assert len(editor.design()["blocks"]) == 1

    # Columns cannot be added to columns.
    window.page.get_by_role("tab", name="Add").click()
    editor.drag(editor.types.get_by_role("button", name="Columns", exact=True), editor.block("Button"))
    design = editor.design()
    assert all(
        child["type"] != "columns" for column in design["blocks"][0]["columns"] for child in column["blocks"]
    )
