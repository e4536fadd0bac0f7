"""Test the message editor in a real browser: writing, previewing and saving without losing anything."""

import base64
import io

import pytest
from PIL import Image
from playwright.sync_api import expect
from sqlalchemy import select

from skymailing.models import Message, MessageDraft, MessageFormat, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.editor import (
    TABLE,
    add_message,
    body,
    expect_draft,
    expect_in_body,
    letter,
    open_editor,
    place_cursor_at_end,
    saving_draft,
)
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE, SCREENS, Screen, Window

LINE = "Write here as you would to one person"


def test_a_message_is_kept_as_a_draft_until_it_is_saved(window: Window, site: Site, owner: User) -> None:
    window.open("/messages/templates")
    window.main.get_by_role("link", name="Plain email").click()
    editor = window.page.locator(".ql-editor")
    expect(editor).to_contain_text(LINE)
    place_cursor_at_end(editor.locator("p", has_text=LINE))
    window.page.keyboard.type(" See you < soon & well.")
    expect(letter(window).get_by_text("See you < soon & well.")).to_be_visible()
    with saving_draft(window, "Bread & cakes"):
        window.fill(subject="Bread & cakes")
    expect_draft(window)
    assert "draft=" in window.page.url

    window.page.reload()
    expect(window.page.locator(".ql-editor")).to_contain_text("See you < soon & well.")
    expect(window.page.locator("[name=subject]")).to_have_value("Bread & cakes")
    expect(window.page.locator(".draft-notice")).to_be_visible()
    window.main.get_by_role("button", name="Save", exact=True).click()
    window.expect_title("Bread & cakes")
    with site.open_session() as session:
        saved = session.scalars(select(Message).where(Message.owner_id == owner.id)).one()
        assert "See you &lt; soon &amp; well." in saved.body
        assert '{{ name | default: "there" }}' in saved.body
        assert session.scalars(select(MessageDraft).where(MessageDraft.owner_id == owner.id)).all() == []


def test_client_data_is_inserted_at_the_cursor(window: Window, owner: User) -> None:
    open_editor(window, "/messages/new")
    editor = window.page.locator(".ql-editor")
    editor.focus()
    window.page.keyboard.type("You live in .")
    window.page.keyboard.press("ArrowLeft")
    menu = window.page.locator(".values")
    menu.locator("summary").click()
    expect(menu.get_by_role("button", name="city")).to_contain_text("Rome")
    menu.get_by_label("If there is no data").fill('a "nice" place')
    menu.get_by_role("button", name="city").click()
    expect(editor.locator(".chip")).to_have_text('\ufeffcity / a "nice" place\ufeff')
    expect_in_body(window, "<p>You live in {{ client.city | default: 'a \"nice\" place' }}.</p>")
    expect(letter(window).get_by_text("You live in Rome.")).to_be_visible()

    window.page.locator("[name=subject]").fill("Dear ")
    menu.locator("summary").click()
    menu.get_by_role("button", name="Full name").click()
    expect(window.page.locator("[name=subject]")).to_have_value("Dear {{ name }}")
    expect(window.page.locator("[data-subject]")).to_have_text("Dear Ann Lee")


def test_the_preview_shows_what_the_chosen_client_gets(window: Window, site: Site, owner: User) -> None:
    message = add_message(
        site, owner, format=MessageFormat.MARKDOWN, body="Hi {{ name }}, {{ client.city }} {{ client.ctiy }}"
    )
    window.delay_responses("**/messages/recipients?*")
    window.delay_responses("**/messages/insight")
    open_editor(window, f"/messages/{message}/edit")
    expect(letter(window).get_by_text("Hi Ann Lee, Rome")).to_be_visible()
    notes = window.page.locator(".preview-notes")
    expect(notes).to_contain_text(
        "No client has this data: {{ client.ctiy }}. Did you mean {{ client.city }}?"
    )
    window.page.locator(".preview-as summary").click()
    window.page.locator("#preview-search").fill("bob")
    recipients = window.page.locator(".preview-people")
    # Wait for the search result, because the full list also includes Bob.
    expect(recipients.get_by_role("button")).to_have_count(1)
    recipients.get_by_role("button", name="Bob Ray").click()
    expect(letter(window).get_by_text("Hi Bob Ray,")).to_be_visible()
    expect(notes).to_contain_text("This client has no data for: {{ client.city }}")
    window.page.get_by_role("button", name="Text only").click()
    expect(window.page.locator(".preview-text")).to_contain_text("Hi Bob Ray")
    expect(window.page.locator(".preview-size")).to_contain_text("KB")
    window.page.locator("textarea[name=body]").fill("one\n{{ name")
    expect(notes).to_contain_text("Line 2: {{ is not closed by }}.")


def test_pictures_are_uploaded_and_pasted(window: Window, site: Site) -> None:
    open_editor(window, "/messages/new")
    picture = io.BytesIO()
    Image.new("RGB", (900, 400), "teal").save(picture, "PNG")
    window.page.locator(".picture-file").set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    )
    dialog = window.page.locator("#ask-alt")
    dialog.get_by_label("Short description").fill('A "teal" wall')
    dialog.get_by_role("button", name="Insert").click()
    expect(window.page.locator(".ql-editor img")).to_have_count(1)
    expect(window.page.locator(".ql-editor img")).to_have_js_property("naturalWidth", 900)
    expect_in_body(window, 'alt="A &quot;teal&quot; wall" width="520">')
    expect_in_body(window, f'src="{site.url}/messages/pictures/')
    image = letter(window).get_by_alt_text('A "teal" wall')
    expect(image).to_be_visible()
    # The preview can be replaced at any time; this looks up the picture in the current frame.
    expect(image).to_have_js_property("naturalWidth", 900)

    window.page.evaluate(
        """(data) => {
            const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0)), files = new DataTransfer();
            files.items.add(new File([bytes], "p.png", { type: "image/png" }));
            const target = document.querySelector(".ql-editor");
            target.focus();
            const about = { clipboardData: files, bubbles: true, cancelable: true };
            target.dispatchEvent(new ClipboardEvent("paste", about));
        }""",
        base64.b64encode(picture.getvalue()).decode(),
    )
    dialog.get_by_role("button", name="Insert").click()
    expect(window.page.locator(".ql-editor img")).to_have_count(2)


def test_two_windows_do_not_overwrite_each_other(
    window: Window, open_window: OpenWindow, site: Site, owner: User
) -> None:
    message = add_message(site, owner, format=MessageFormat.TEXT, body="old")
    other = open_window(DESKTOP)
    other.sign_in(owner.email)
    for editor_window in (window, other):
        open_editor(editor_window, f"/messages/{message}/edit")
    window.page.locator("textarea[name=body]").fill("first")
    expect_draft(window)
    with other.expecting(409):
        other.page.locator("textarea[name=body]").fill("second")
        expect(other.page.locator(".draft-state")).to_contain_text("in another window")
        window.main.get_by_role("button", name="Save", exact=True).click()
        window.page.wait_for_url(f"**/messages/{message}")
        other.main.get_by_role("button", name="Save", exact=True).click()
        expect(other.main).to_contain_text("was changed in another window")
        other.page.wait_for_load_state()
    assert body(other) == "second"
    other.main.get_by_role("button", name="Save", exact=True).click()
    other.page.wait_for_url(f"**/messages/{message}")
    with site.open_session() as session:
        assert session.get_one(Message, message).body == "second"


def test_a_discarded_draft_can_be_restored(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.TEXT, body="old")
    open_editor(window, f"/messages/{message}/edit")
    window.page.locator("textarea[name=body]").fill("new")
    expect_draft(window)
    window.main.get_by_role("button", name="Discard draft").click()
    expect(window.page.locator(".flashes")).to_contain_text("Draft discarded.")
    expect(window.page.locator("textarea[name=body]")).to_have_value("old")
    window.main.get_by_role("button", name="Undo").click()
    expect(window.page.locator(".draft-notice")).to_be_visible()
    expect(window.page.locator("textarea[name=body]")).to_have_value("new")


@pytest.mark.parametrize("screen", SCREENS, ids=str)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_editor_fits_every_screen(
    site: Site, open_window: OpenWindow, screen: Screen, language: str
) -> None:
    owner = site.add_user(locale=language)
    window = open_window(screen)
    window.sign_in(owner.email)
    source = add_message(site, owner, format=MessageFormat.HTML, body=TABLE * 3)
    for path in (
        "/messages/",
        "/messages/new",
        "/messages/new?starter=letter",
        f"/messages/{source}/edit",
        f"/messages/{source}",
    ):
        window.open(path)
        if path != "/messages/" and not path.endswith(str(source)):
            expect(window.page.locator(".preview-size")).to_be_visible()
            window.page.locator(".values summary").click()
        window.expect_to_fit()
        window.expect_color_scheme()
        assert window.page.locator("html").get_attribute("lang") == language


def test_the_editor_works_without_javascript(open_window: OpenWindow, owner: User) -> None:
    window = open_window(PHONE, javascript=False)
    window.sign_in(owner.email)
    response = window.page.goto("/messages/new")
    assert response is not None
    assert response.ok
    window.main.locator("[name=format][value=text]").check()
    window.fill(subject="Hi {{ name }}", body="You live in {{ client.city }}.")
    window.main.get_by_role("button", name="Preview").click()
    frame = window.page.frame_locator("iframe[name=draft-frame]")
    expect(frame.get_by_text("You live in Rome.")).to_be_visible()
    window.main.get_by_role("button", name="Save", exact=True).click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Hi [name]")


def test_the_keyboard_is_not_trapped_in_the_text(window: Window) -> None:
    open_editor(window, "/messages/new?starter=letter")
    editor = window.page.locator(".ql-editor")
    editor.focus()
    window.page.keyboard.press("Tab")
    expect(editor).not_to_be_focused()
    window.page.keyboard.press("Shift+Tab")
    expect(editor).to_be_focused()
    assert "\t" not in body(window)
