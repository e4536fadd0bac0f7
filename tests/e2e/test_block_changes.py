"""Test changes in the block editor: undo, saved blocks, errors, conditions, client data, drafts."""

from playwright.sync_api import expect

from tests.e2e.blocks import BlockEditor
from tests.e2e.editor import expect_in_body, letter
from tests.e2e.window import Window


def test_a_block_is_shown_only_to_the_clients_of_its_condition(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.block("Heading").click()
    editor.fill(text="Only in Rome")
    editor.panel.get_by_text("Visibility").click()
    editor.panel.get_by_label("Show to").select_option("city")
    editor.panel.get_by_label("Value").fill("Rome")
    assert editor.design()["blocks"][1]["visibility"]["when"] == {
        "field": "attribute.city",
        "op": "equals",
        "value": "Rome",
    }
    window.page.get_by_role("button", name="Preview", exact=True).click()
    expect(letter(window).get_by_text("Only in Rome")).to_be_visible()
    window.page.locator(".preview-as summary").click()
    window.page.get_by_role("button", name="Bob Ray").click()
    expect(letter(window).get_by_text("Only in Rome")).to_have_count(0)


def test_client_data_is_inserted_into_a_field_and_into_a_text(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    menu = window.page.locator(".values")
    editor.block("Heading").click()
    editor.fill(text="Hello ")
    editor.panel.get_by_role("button", name="Insert client data: Heading text").click()
    expect(menu).to_contain_text("The data will be inserted into “Heading text”.")
    menu.get_by_role("button", name="city").click()
    expect(editor.field("text")).to_have_value("Hello {{ client.city }}")
    expect(editor.canvas.locator("[data-type=heading] .chip-view")).to_have_text("city")

    editor.block("Text").click()
    menu.locator("summary").click()
    menu.get_by_role("button", name="Full name").click()
    ops = editor.design()["blocks"][2]["delta"]["ops"]
    assert {"insert": {"placeholder": "{{ name }}"}} in ops


def test_each_change_can_be_undone_and_repeated(window: Window) -> None:
    editor = BlockEditor(window)
    keyboard = window.page.keyboard
    editor.open()
    before = editor.design()
    undo = window.page.get_by_role("button", name="Undo")
    expect(undo).to_have_attribute("aria-disabled", "true")
    editor.block("Text").click()
    keyboard.type(" More.")
    typed = editor.design()
    editor.block("Button").click()
    keyboard.press("Delete")
    removed = editor.design()
    assert [block["type"] for block in removed["blocks"]] == ["logo", "heading", "text", "footer"]

    keyboard.press("Control+z")
    assert editor.design() == typed
    undo.click()
    assert editor.design() == before
    expect(editor.canvas.locator(".block[data-type=text]")).not_to_contain_text("More.")
    keyboard.press("Control+Shift+Z")
    window.page.get_by_role("button", name="Redo").click()
    assert editor.design() == removed


def test_a_block_is_saved_inserted_into_another_message_and_deleted(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.block("Button").click()
    editor.fill(text="Order now", url="https://shop.example/")
    editor.canvas.get_by_role("button", name="Save to “My blocks”").click()
    dialog = window.page.locator("#ask-name")
    dialog.get_by_label("Name").fill("Order button")
    dialog.get_by_role("button", name="Save").click()
    shelf = window.page.get_by_role("list", name="My blocks")
    window.page.get_by_role("tab", name="Add").click()
    expect(shelf.get_by_role("button", name="Order button", exact=True)).to_be_visible()

    editor.open()
    shelf.get_by_role("button", name="Order button", exact=True).click()
    inserted = [block for block in editor.design()["blocks"] if block["type"] == "button"]
    assert [block["text"] for block in inserted] == ["Learn more", "Order now"]
    assert inserted[0]["id"] != inserted[1]["id"]

    window.page.get_by_role("tab", name="Add").click()
    shelf.get_by_role("button", name="Delete the saved block “Order button”").click()
    expect(shelf).to_be_hidden()
    editor.open()
    window.wait_until_quiet()
    expect(shelf).to_be_hidden()


def test_an_error_is_shown_at_its_block_and_field(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.block("Heading").click()
    editor.fill(text="Hello {{ name")
    problem = editor.canvas.locator(".block[data-type=heading] > .block-problem")
    expect(problem).to_contain_text("is not closed")
    expect(editor.field("text")).to_have_attribute("aria-invalid", "true")
    assert editor.canvas.locator(".block-problem").count() == 1
    editor.fill(text="Hello {{ name }}")
    expect(problem).to_have_count(0)
    expect(editor.field("text")).not_to_have_attribute("aria-invalid", "true")


def test_a_picture_needs_a_description_before_the_message_is_saved(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.block("Heading").click()
    editor.add("Image")
    editor.upload()
    window.fill(subject="Picture")
    window.main.get_by_role("button", name="Save", exact=True).click()
    expect(editor.field("alt")).to_be_focused()
    expect(editor.canvas.locator(".block-problem")).to_have_text(
        "Describe the image, or mark it as decoration."
    )
    editor.field("is_decorative").check()
    expect(editor.canvas.locator(".block-problem")).to_have_count(0)
    editor.save("Picture")


def test_the_editor_continues_from_its_draft_and_can_become_html(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.block("Heading").click()
    editor.fill(text="Kept in a draft")
    expect(window.page.locator(".draft-state")).to_contain_text("Draft saved")
    window.page.reload()
    expect(editor.block("Heading: Kept in a draft")).to_be_visible()

    window.page.get_by_role("tab", name="Design").click()
    window.main.get_by_role("button", name="Continue as HTML").click()
    dialog = window.page.locator("#ask-loss")
    dialog.get_by_role("button", name="Keep as it is").click()
    expect(editor.block("Heading: Kept in a draft")).to_be_visible()
    window.main.get_by_role("button", name="Continue as HTML").click()
    with window.new_page():
        dialog.get_by_role("button", name="Change anyway").click()
    expect_in_body(window, "Kept in a draft</h1>")


def test_a_lost_connection_loses_nothing(window: Window) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.block("Heading").click()
    window.page.context.set_offline(True)
    editor.fill(text="Written on the train")
    state = window.page.locator(".draft-state")
    expect(state).to_contain_text("Draft not saved")
    window.page.context.set_offline(False)
    expect(state).to_contain_text("Draft saved")
    window.page.reload()
    expect(editor.block("Heading: Written on the train")).to_be_visible()
    assert all("ERR_INTERNET_DISCONNECTED" in complaint for complaint in window.complaints)
    window.complaints.clear()
