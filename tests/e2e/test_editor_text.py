"""Test that writing mode loses nothing without asking and cleans pasted HTML."""

from playwright.sync_api import expect

from skymailing.models import MessageFormat, User
from tests.e2e.editor import (
    TABLE,
    add_message,
    body,
    choose_mode,
    expect_in_body,
    expect_mode,
    open_editor,
    place_cursor_at_end,
)
from tests.e2e.site import Site
from tests.e2e.window import Window

# Tags that an HTML parser or a careless editor would alter.
TAGS = [
    '{{ name | default: "a > b & c" }}',
    "{{client['city']}}",
    "{%  if client.city == 'Рим' and 1 < 2 %}",
    "{% endif %}",
    "{{ \"x\" | append: '&amp;' }}",
]


def test_the_editor_asks_before_losing_unsupported_html(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.HTML, body=TABLE)
    open_editor(window, f"/messages/{message}/edit")
    expect(window.page.locator(".mode-notice")).to_contain_text("tables")
    assert body(window) == TABLE
    choose_mode(window, "writing")
    dialog = window.page.locator("#ask-loss")
    expect(dialog).to_contain_text("styles of individual elements")
    dialog.get_by_role("button", name="Keep as it is").click()
    expect(window.main.locator(".modes [data-mode=html]")).to_be_checked()
    expect(window.page.locator("textarea[name=body]")).to_be_visible()
    assert body(window) == TABLE
    choose_mode(window, "markdown")
    dialog.get_by_role("button", name="Change anyway").click()
    expect(window.page.locator(".mode-notice")).to_contain_text("converted to the new format")
    assert body(window).startswith('Hello, {{ name | default: "you & me" }}!')
    window.page.get_by_role("button", name="Undo the conversion").click()
    expect(window.page.locator("textarea[name=body]")).to_have_value(TABLE)


def test_writing_mode_keeps_liquid_byte_for_byte(window: Window, site: Site, owner: User) -> None:
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
    open_editor(window, f"/messages/{message}/edit")
    expect(window.page.locator(".ql-editor .chip")).to_have_count(6)
    editor = window.page.locator(".ql-editor")
    place_cursor_at_end(editor.locator("p").first)
    window.page.keyboard.type("!")
    expect_in_body(window, "!</p>")
    changed = body(window)
    for tag in TAGS:
        assert changed.count(tag) == text.count(tag), tag
    assert changed.strip() == text.replace(f"{TAGS[4]}</p>", f"{TAGS[4]}!</p>").strip()
    # A placeholder that is typed also becomes a chip.
    window.page.keyboard.type(" {{ email }}")
    expect(editor.locator(".chip")).to_have_count(7)
    expect_in_body(window, "! {{ email }}</p>")


def test_converting_a_designed_message_to_markdown_keeps_its_text(window: Window) -> None:
    window.delay_responses("**/messages/convert")
    open_editor(window, "/messages/new?starter=letter")
    place_cursor_at_end(window.page.locator(".ql-editor p", has_text="Write here as you would"))
    window.page.keyboard.type(" 2 * 3 [x] a_b")
    expect_in_body(window, "a_b</p>")
    choose_mode(window, "markdown")
    window.page.locator("#ask-loss").get_by_role("button", name="Change anyway").click()
    expect_mode(window, "markdown")
    text = body(window)
    assert text.startswith('Hello, {{ name | default: "there" }}!\n\nWrite here as you would')
    assert "the reader to do. 2 \\* 3 \\[x\\] a_b\n\nKind regards," in text
    choose_mode(window, "writing")
    expect(window.page.locator(".ql-editor")).to_contain_text("the reader to do. 2 * 3 [x] a_b")


PASTED = """<html><head><style>p.MsoNormal { margin: 0 }</style></head><body>
<b style="font-weight:normal" id="docs-internal-guid-1"><p class="MsoNormal" style="margin:0" onclick="x()">
<span style="font-weight:700">Bold</span> and <span style="color:blue">blue</span>
<a href="https://a.example/">link</a></p></b><table style="x:y"><tr><td style="a:b">cell</td></tr></table>
<img src="data:image/png;base64,iVBORw0KGgo=" style="width:3px" onerror="x()"></body></html>"""


def test_text_pasted_from_a_word_processor_is_cleaned(window: Window) -> None:
    open_editor(window, "/messages/new")
    editor = window.page.locator(".ql-editor")
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
