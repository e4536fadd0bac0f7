"""Text that comes from elsewhere into writing mode and out: nothing is lost, nothing foreign stays."""

from playwright.sync_api import expect

from skymailing.models import MessageFormat, User
from tests.e2e.editor import TABLE, add_message, body, mode
from tests.e2e.site import Site
from tests.e2e.window import Window

# What a parser of HTML or a careless editor would change.
TAGS = [
    '{{ name | default: "a > b & c" }}',
    "{{client['city']}}",
    "{%  if client.city == 'Рим' and 1 < 2 %}",
    "{% endif %}",
    "{{ \"x\" | append: '&amp;' }}",
]


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
