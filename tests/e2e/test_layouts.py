"""Test users' templates and layouts in a real browser."""

import json

from playwright.sync_api import expect

from tests.e2e.blocks import BlockEditor
from tests.e2e.editor import letter
from tests.e2e.window import Window

PURPLE = "rgb(122, 46, 142)"


def save(window: Window) -> None:
    with window.new_page():
        window.main.locator("form[data-editor] button[type=submit]", has_text="Save").first.click()


def test_a_template_is_used_with_the_brand_and_saved_as_an_own_template(window: Window) -> None:
    window.open("/messages/templates")
    with window.new_page():
        window.main.locator("#shop a.starter").first.click()
    window.fill(subject="Digest")
    save(window)
    colors = "[...document.querySelectorAll('a')].map((link) => getComputedStyle(link).backgroundColor)"
    frame = window.page.frame_locator("iframe.letter-frame")
    frame.locator("a").first.wait_for()
    before = frame.locator("body").evaluate(f"() => {colors}")
    address = window.page.url

    window.open("/brand/")
    window.main.locator("details:has([name=button_color]) > summary").click()
    window.fill(button_color="#7a2e8e")
    with window.new_page():
        window.main.get_by_role("button", name="Save").click()
    window.open("/messages/templates")
    with window.new_page():
        window.main.locator("#shop a.starter").first.click()
    window.fill(subject="Purple digest")
    save(window)
    frame.locator("a").first.wait_for()
    assert PURPLE in frame.locator("body").evaluate(f"() => {colors}")
    assert PURPLE not in before
    assert window.page.url != address

    window.page.fill("#template-name", "Monthly")
    with window.new_page():
        window.main.get_by_role("button", name="Save as template").click()
    own = window.main.locator(".own-template", has_text="Monthly")
    own.locator("summary").click()
    own.locator("input[name=name]").fill("Weekly")
    with window.new_page():
        own.get_by_role("button", name="Save").click()
    expect(window.main.locator(".own-template strong")).to_have_text("Weekly")
    with window.new_page():
        window.main.locator(".own-template a.starter").click()
    expect(window.main.locator("[name=subject]")).to_have_value("Purple digest")


def test_a_layout_is_built_and_chosen_in_the_block_editor(window: Window) -> None:
    editor = BlockEditor(window)
    window.open("/messages/layouts/new?kind=blocks")
    expect(editor.block("Text of the message")).to_be_visible()
    editor.block("Divider").click()
    editor.add("Heading")
    editor.fill(text="From all of us")
    window.page.fill("#name", "Company")
    save(window)
    expect(window.main.locator(".layout-card strong")).to_have_text("Company")
    with window.new_page():
        window.main.get_by_role("button", name="Use by default").click()

    editor.open()
    expect(window.main.locator("[name=layout] option:checked")).to_have_text("Company")
    assert "logo" not in {
        block["type"] for block in json.loads(window.main.locator("[name=source]").input_value())["blocks"]
    }
    expect(editor.block("Text of the message")).to_have_count(0)
    window.fill(subject="News")
    window.page.locator(".tools [data-act=preview]").click()
    expect(letter(window).get_by_text("From all of us")).to_be_visible()
    window.main.locator("[name=layout]").select_option("")
    expect(letter(window).get_by_text("From all of us")).to_have_count(0)
    window.main.locator("[name=layout]").select_option(label="Company")
    save(window)
    expect(window.page.frame_locator("iframe.letter-frame").get_by_text("From all of us")).to_be_visible()


def test_findings_lead_to_their_block(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    checks = window.main.locator(".be-checks")
    checks.locator("summary").click()
    checks.get_by_role("button", name="The button has no link yet.").click()
    expect(editor.field("url")).to_be_focused()
    editor.fill(url="https://shop.example/")
    expect(checks).to_be_hidden()


def test_a_code_block_shows_its_result(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.add("HTML code")
    text = '<p style="text-align:right" onclick="x()">Raw <b>code</b></p>'
    editor.fill(html=f"<style>b {{ color: #7a2e8e }}</style>{text}")
    frame = editor.canvas.frame_locator("iframe.bv-code")
    expect(frame.locator("b")).to_have_css("color", PURPLE)
    expect(frame.locator("p")).to_have_css("text-align", "right")
    assert frame.locator("p").get_attribute("onclick") is None
