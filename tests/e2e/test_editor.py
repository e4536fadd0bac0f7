"""The message editor in a real browser: writing, keeping, showing, and losing nothing."""

import base64
import io

import pytest
from PIL import Image
from playwright.sync_api import FrameLocator, expect
from sqlalchemy import select

from skymailing.models import Message, MessageDraft, MessageFormat, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE, SCREENS, Screen, Window
from tests.factories import ClientFactory, MessageFactory

TABLE = """<p>Hello, {{ name | default: "you & me" }}!</p>
<table><tr><td style="color: red">A > B</td></tr></table>
"""
# What a parser of HTML or a careless editor would change.
TAGS = [
    '{{ name | default: "a > b & c" }}',
    "{{client['city']}}",
    "{%  if client.city == 'Рим' and 1 < 2 %}",
    "{% endif %}",
    "{{ \"x\" | append: '&amp;' }}",
]


@pytest.fixture
def owner(site: Site) -> User:
    """Somebody with two clients, whose city one of them has not told."""
    user = site.add_user(name="Rose Bakery", locale="en")
    with site.adding() as session:
        mine = {"owner": session.get_one(User, user.id)}
        ClientFactory.create(
            **mine, full_name="Ann Lee", email=f"ann{user.id}@example.org", attributes={"city": "Rome"}
        )
        ClientFactory.create(**mine, full_name="Bob Ray", email=f"bob{user.id}@example.org")
    return user


@pytest.fixture
def window(open_window: OpenWindow, owner: User) -> Window:
    window = open_window(DESKTOP)
    window.sign_in(owner.email)
    return window


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


def test_a_letter_is_written_kept_and_saved(window: Window, site: Site, owner: User) -> None:
    window.open("/messages/new")
    window.main.get_by_role("link", name="Newsletter").click()
    editor = window.page.locator(".ql-editor")
    expect(editor).to_contain_text("News of the month")
    editor.get_by_text("Until next month!").click()
    window.page.keyboard.press("End")
    window.page.keyboard.type(" See you < soon & well.")
    expect(letter(window).get_by_text("See you < soon & well.")).to_be_visible()
    window.fill(subject="Bread & cakes")
    expect_draft(window)
    assert "draft=" in window.page.url

    window.page.reload()
    expect(window.page.locator(".ql-editor")).to_contain_text("See you < soon & well.")
    expect(window.page.locator("[name=subject]")).to_have_value("Bread & cakes")
    expect(window.page.locator(".draft-notice")).to_be_visible()
    window.main.get_by_role("button", name="Save").click()
    window.expect_title("Bread & cakes")
    with site.adding() as session:
        saved = session.scalars(select(Message).where(Message.owner_id == owner.id)).one()
        assert "See you &lt; soon &amp; well." in saved.body
        assert '{{ name | default: "friend" }}' in saved.body
        assert session.scalars(select(MessageDraft).where(MessageDraft.owner_id == owner.id)).all() == []


def test_a_value_is_put_where_the_cursor_is(window: Window, owner: User) -> None:
    window.open("/messages/new")
    editor = window.page.locator(".ql-editor")
    editor.click()
    window.page.keyboard.type("You live in .")
    window.page.keyboard.press("ArrowLeft")
    menu = window.page.locator(".values")
    menu.locator("summary").click()
    expect(menu.get_by_role("button", name="city")).to_contain_text("Rome")
    menu.get_by_label("For clients who do not have it").fill('a "nice" place')
    menu.get_by_role("button", name="city").click()
    expect(editor.locator(".chip")).to_have_text('\ufeffcity / a "nice" place\ufeff')
    assert "<p>You live in {{ client.city | default: 'a \"nice\" place' }}.</p>" in body(window)
    expect(letter(window).get_by_text("You live in Rome.")).to_be_visible()

    window.page.locator("[name=subject]").fill("Dear ")
    menu.locator("summary").click()
    menu.get_by_role("button", name="Full name").click()
    expect(window.page.locator("[name=subject]")).to_have_value("Dear {{ name }}")
    expect(window.page.locator("[data-subject]")).to_have_text("Dear Ann Lee")


def test_the_preview_is_the_letter_of_the_chosen_client(window: Window, site: Site, owner: User) -> None:
    message = add_message(
        site, owner, format=MessageFormat.MARKDOWN, body="Hi {{ name }}, {{ client.city }} {{ client.ctiy }}"
    )
    window.open(f"/messages/{message}/edit")
    expect(letter(window).get_by_text("Hi Ann Lee, Rome")).to_be_visible()
    notes = window.page.locator(".preview-notes")
    expect(notes).to_contain_text(
        "No client has such a value: {{ client.ctiy }}. Did you mean {{ client.city }}?"
    )
    window.page.locator(".preview-as summary").click()
    window.page.locator("#preview-search").fill("bob")
    window.page.locator(".preview-people").get_by_role("button", name="Bob Ray").click()
    expect(letter(window).get_by_text("Hi Bob Ray,")).to_be_visible()
    expect(notes).to_contain_text("This client has no value for: {{ client.city }}")
    window.page.get_by_role("button", name="Text only").click()
    expect(window.page.locator(".preview-text")).to_contain_text("Hi Bob Ray")
    expect(window.page.locator(".preview-size")).to_contain_text("KB")
    window.page.locator("textarea[name=body]").fill("one\n{{ name")
    expect(notes).to_contain_text("Line 2: {{ is not closed by }}.")


def test_pictures_are_uploaded_and_pasted(window: Window, site: Site) -> None:
    window.open("/messages/new")
    expect(window.page.locator(".ql-editor")).to_be_visible()
    picture = io.BytesIO()
    Image.new("RGB", (900, 400), "teal").save(picture, "PNG")
    window.page.locator(".picture-file").set_input_files(
        {"name": "x.png", "mimeType": "image/png", "buffer": picture.getvalue()}
    )
    dialog = window.page.locator("#ask-alt")
    dialog.get_by_label("In a few words").fill('A "teal" wall')
    dialog.get_by_role("button", name="Insert").click()
    expect(window.page.locator(".ql-editor img")).to_have_count(1)
    assert window.page.evaluate("document.querySelector('.ql-editor img').naturalWidth") == 900
    assert 'alt="A &quot;teal&quot; wall" width="520">' in body(window)
    assert f'src="{site.url}/messages/pictures/' in body(window)
    shown = letter(window).get_by_alt_text('A "teal" wall')
    expect(shown).to_be_visible()
    assert (
        shown.evaluate("async (picture) => { await picture.decode(); return picture.naturalWidth; }") == 900
    )

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


def test_what_writing_mode_cannot_hold_is_not_lost_unasked(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.HTML, body=TABLE)
    window.open(f"/messages/{message}/edit")
    expect(window.page.locator(".mode-notice")).to_contain_text("tables")
    assert body(window) == TABLE
    mode(window, "writing")
    dialog = window.page.locator("#ask-loss")
    expect(dialog).to_contain_text("styles of single elements")
    dialog.get_by_role("button", name="Leave it as it is").click()
    expect(window.page.locator("textarea[name=body]")).to_be_visible()
    assert body(window) == TABLE
    mode(window, "markdown")
    dialog.get_by_role("button", name="Change all the same").click()
    expect(window.page.locator(".mode-notice")).to_contain_text("changed into the new format")
    assert body(window).startswith('Hello, {{ name | default: "you & me" }}!')
    window.page.get_by_role("button", name="Back to the former text").click()
    assert body(window) == TABLE


def test_liquid_goes_through_writing_mode_byte_for_byte(window: Window, site: Site, owner: User) -> None:
    text = f"""<p>a {TAGS[0]} <strong>{TAGS[1]}</strong> {TAGS[4]}</p>
{TAGS[2]}
<p>b <a href="{{{{ client.url | append: "?a=1&b=2" }}}}">c</a><br>d</p>
{TAGS[3]}
<ul>
<li>e
<ul>
<li>{TAGS[0]}</li>
</ul>
</li>
<li>f</li>
</ul>
"""
    message = add_message(site, owner, format=MessageFormat.HTML, body=text)
    window.open(f"/messages/{message}/edit")
    expect(window.page.locator(".ql-editor .chip")).to_have_count(6)
    editor = window.page.locator(".ql-editor")
    editor.locator("p").first.click()
    window.page.keyboard.press("End")
    window.page.keyboard.type("!")
    changed = body(window)
    for tag in TAGS:
        assert changed.count(tag) == text.count(tag), tag
    assert changed.strip() == text.replace(f"{TAGS[4]}</p>", f"{TAGS[4]}!</p>").strip()
    # Typed by hand, a placeholder becomes as visible as one of the menu.
    window.page.keyboard.type(" {{ email }}")
    expect(editor.locator(".chip")).to_have_count(7)
    assert "! {{ email }}</p>" in body(window)


def test_two_windows_do_not_write_over_each_other(
    window: Window, open_window: OpenWindow, site: Site, owner: User
) -> None:
    message = add_message(site, owner, format=MessageFormat.TEXT, body="old")
    other = open_window(DESKTOP)
    other.sign_in(owner.email)
    for each in (window, other):
        each.open(f"/messages/{message}/edit")
    window.page.locator("textarea[name=body]").fill("first")
    expect_draft(window)
    with other.expecting(409):
        other.page.locator("textarea[name=body]").fill("second")
        expect(other.page.locator(".draft-state")).to_contain_text("in another window too")
        window.main.get_by_role("button", name="Save").click()
        window.page.wait_for_url(f"**/messages/{message}")
        other.main.get_by_role("button", name="Save").click()
        expect(other.main).to_contain_text("was changed in another window")
    assert body(other) == "second"
    other.main.get_by_role("button", name="Save").click()
    other.page.wait_for_url(f"**/messages/{message}")
    with site.adding() as session:
        assert session.get_one(Message, message).body == "second"


def test_a_discarded_draft_comes_back(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.TEXT, body="old")
    window.open(f"/messages/{message}/edit")
    window.page.locator("textarea[name=body]").fill("new")
    expect_draft(window)
    window.main.get_by_role("button", name="Discard the draft").click()
    expect(window.page.locator(".flashes")).to_contain_text("The draft was discarded.")
    assert body(window) == "old"
    window.main.get_by_role("button", name="Undo").click()
    expect(window.page.locator(".draft-notice")).to_be_visible()
    assert body(window) == "new"


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
        "/messages/new?example=invitation",
        f"/messages/{source}/edit",
        f"/messages/{source}",
    ):
        window.open(path)
        if path != "/messages/" and not path.endswith(str(source)):
            expect(window.page.locator(".preview-size")).to_be_visible()
            window.page.locator(".values summary").click()
        window.expect_to_fit()
        window.expect_colours()
        assert window.page.locator("html").get_attribute("lang") == language


def test_without_javascript_there_are_fields_and_a_preview(open_window: OpenWindow, owner: User) -> None:
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
    window.main.get_by_role("button", name="Save").click()
    expect(window.page.get_by_role("heading", level=1)).to_have_text("Hi {{ name }}")


def test_a_letter_with_a_design_becomes_markdown_and_keeps_its_text(window: Window) -> None:
    window.open("/messages/new?example=newsletter")
    window.page.locator(".ql-editor").get_by_text("Until next month!").click()
    window.page.keyboard.press("End")
    window.page.keyboard.type(" 2 * 3 [x] a_b")
    mode(window, "markdown")
    window.page.locator("#ask-loss").get_by_role("button", name="Change all the same").click()
    expect(window.page.locator("textarea[name=body]")).to_be_visible()
    text = body(window)
    assert text.startswith('# News of the month\n\nHello, {{ name | default: "friend" }}!\n\n')
    assert "[Read more](https://example.com/)" in text
    assert "\n\n- one thing\n- another thing\n- and one more\n\n" in text
    assert text.endswith("Until next month! 2 \\* 3 \\[x\\] a_b\n")
    mode(window, "writing")
    expect(window.page.locator(".ql-editor h1")).to_have_text("News of the month")
    expect(window.page.locator(".ql-editor")).to_contain_text("Until next month! 2 * 3 [x] a_b")


PASTED = """<html><head><style>p.MsoNormal { margin: 0 }</style></head><body>
<b style="font-weight:normal" id="docs-internal-guid-1"><p class="MsoNormal" style="margin:0" onclick="x()">
<span style="font-weight:700">Bold</span> and <span style="color:blue">blue</span>
<a href="https://a.example/">link</a></p></b><table style="x:y"><tr><td style="a:b">cell</td></tr></table>
<img src="data:image/png;base64,iVBORw0KGgo=" style="width:3px" onerror="x()"></body></html>"""


def test_what_a_word_processor_pastes_is_tamed(window: Window) -> None:
    window.open("/messages/new")
    editor = window.page.locator(".ql-editor")
    expect(editor).to_be_visible()
    window.page.evaluate(
        """(html) => {
            const data = new DataTransfer(), target = document.querySelector(".ql-editor");
            data.setData("text/html", html);
            target.focus();
            const about = { clipboardData: data, bubbles: true, cancelable: true };
            target.dispatchEvent(new ClipboardEvent("paste", about));
        }""",
        PASTED,
    )
    expect(editor).to_contain_text("cell")
    text = body(window).split("<!-- text begins -->")[1].split("<!-- text ends -->")[0]
    assert '<p><strong>Bold</strong> and blue <a href="https://a.example/">link</a></p>\n<p>cell</p>' in text
    assert "style" not in text
    assert "<img" not in text


def test_the_keyboard_reaches_the_text_and_leaves_it(window: Window) -> None:
    window.open("/messages/new?example=letter")
    editor = window.page.locator(".ql-editor")
    editor.click()
    window.page.keyboard.press("Tab")
    expect(editor).not_to_be_focused()
    window.page.keyboard.press("Shift+Tab")
    expect(editor).to_be_focused()
    assert "\t" not in body(window)
