"""Test how editors start on slow connections: the letter is drawn first, and no click is lost."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Route, expect

from skymailing.models import MessageFormat, User
from tests.e2e.blocks import BlockEditor
from tests.e2e.editor import (
    add_message,
    body,
    choose_mode,
    expect_draft,
    expect_in_body,
    expect_mode,
    open_editor,
)
from tests.e2e.site import Site
from tests.e2e.window import Window

QUILL = "**/vendor/quill/quill.*.js"
FIRST_DESIGN = "/messages/new?kind=blocks"
TOOLS = "**/text-tools.js"
UNVEIL = "document.getAnimations().forEach((animation) => animation.finish())"  # as if ten seconds had passed
BACKGROUND = "(element) => getComputedStyle(element).backgroundColor"


@contextmanager
def holding(window: Window, pattern: str) -> Iterator[None]:
    """Hold all responses from a URL pattern until the block ends."""
    held: list[Route] = []
    window.page.route(pattern, lambda route: held.append(route))
    yield
    window.wait_until(lambda: held, f"{pattern} is requested")
    for route in held:
        route.continue_()
    window.page.unroute(pattern)


def test_a_text_that_is_clicked_before_quill_has_loaded_opens_afterwards(window: Window, owner: User) -> None:
    editor = BlockEditor(window)
    with holding(window, QUILL):
        window.page.goto(FIRST_DESIGN, wait_until="commit")  # a held script delays the load event
        text = editor.canvas.locator('[data-type="text"]').first
        expect(text).to_be_visible()
        text.locator(".block-cover").click()
        expect(text).to_contain_class("block-selected")
    field = text.locator(".ql-editor")
    expect(field).to_be_focused()
    window.page.keyboard.press("Control+Home")
    window.page.keyboard.type("Early bird. ")
    expect(field).to_contain_text("Early bird.")
    assert "Early bird." in str(editor.design())


def test_buttons_and_typed_text_count_before_the_tools_have_loaded(window: Window, owner: User) -> None:
    editor = BlockEditor(window)
    with holding(window, "**/block-tools.js"):
        window.page.goto(FIRST_DESIGN, wait_until="commit")  # a held script delays the load event
        expect(editor.covers().first).to_be_visible()
        window.fill(subject="Typed early")
        window.page.get_by_role("tab", name="Design").click()
    expect(window.page.get_by_role("tabpanel", name="Design")).to_be_visible()
    expect(window.page.locator(".bs-settings")).to_contain_text("Font")
    expect_draft(window)


def test_the_empty_column_that_is_clicked_first_gets_the_block(window: Window, owner: User) -> None:
    editor = BlockEditor(window)
    editor.open()
    editor.empty()
    editor.add("Columns")
    expect_draft(window)
    with holding(window, "**/block-tools.js"):
        window.page.reload(wait_until="commit")
        editor.canvas.get_by_role("button", name="Add to column 2").click()
    editor.types.get_by_role("button", name="Divider").click()
    expect(editor.column(2).locator('[data-type="divider"]')).to_be_visible()


def test_a_source_needs_no_quill_before_writing_mode(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.MARKDOWN, body="# Dear **all**")
    requests: list[str] = []
    window.page.on("request", lambda request: requests.append(request.url))
    open_editor(window, f"/messages/{message}/edit")
    expect(window.page.locator(".source-colors")).to_contain_text("# Dear **all**")
    window.wait_until_quiet()
    assert not [url for url in requests if "/quill/" in url]
    with holding(window, QUILL):
        choose_mode(window, "writing")
    expect_mode(window, "writing")
    expect(window.page.locator(".ql-editor h1")).to_have_text("Dear all")
    assert [url for url in requests if "/quill/" in url]


def test_a_source_is_shown_and_can_be_changed_before_the_tools_have_loaded(
    window: Window, site: Site, owner: User
) -> None:
    message = add_message(site, owner, format=MessageFormat.MARKDOWN, body="# Dear all")
    with holding(window, TOOLS):
        window.page.goto(f"/messages/{message}/edit", wait_until="commit")
        expect(window.page.locator(".source-colors")).to_contain_text("# Dear all")
        window.fill(body="# Dear friends")
    expect_draft(window)
    expect(window.page.frame_locator("#preview iframe").get_by_role("heading")).to_have_text("Dear friends")


def test_text_that_is_typed_while_quill_loads_is_kept(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.HTML, body="<p>Dear all</p>")
    for path in (f"/messages/{message}/edit", "/messages/new"):
        with holding(window, QUILL):
            window.page.goto(path, wait_until="commit")
            expect(window.main.locator(".modes [data-mode=writing]")).to_be_checked()
            window.page.evaluate(UNVEIL)
            window.fill(body="<p>Dear friends</p>")
        expect_mode(window, "writing")
        assert "Dear friends" in body(window)
        expect(window.page.locator(".ql-editor")).to_have_text("Dear friends")


def test_html_that_is_chosen_while_quill_loads_is_shown(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.HTML, body="<p>Dear all</p>")
    for path, text in ((f"/messages/{message}/edit", "Dear all"), ("/messages/new", "<!-- text begins -->")):
        with holding(window, QUILL):
            window.page.goto(path, wait_until="commit")
            expect(window.main.locator(".modes [data-mode=writing]")).to_be_checked()
            choose_mode(window, "html")
            expect(window.page.locator("textarea[name=body]")).to_be_visible()
            expect_in_body(window, text)
        window.wait_until_quiet()
        expect_mode(window, "html")
        expect_in_body(window, text)


def test_a_click_is_forgotten_once_the_text_changes(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.HTML, body="<p>Dear all</p>")
    editor = window.page.locator(".ql-editor")
    with holding(window, TOOLS):
        window.page.goto(f"/messages/{message}/edit", wait_until="commit")
        expect(editor).to_have_text("Dear all")
        editor.press("Control+a")
        window.page.get_by_role("button", name="Bold").click()
        editor.press("Control+End")
        window.page.keyboard.type(" and friends")
        editor.press("Control+a")
    expect_mode(window, "writing")
    expect(editor).to_have_text("Dear all and friends")
    expect(editor.locator("strong")).to_have_count(0)


def test_drafts_are_saved_although_the_tools_are_not_loaded(window: Window, site: Site, owner: User) -> None:
    message = add_message(site, owner, format=MessageFormat.MARKDOWN, body="# Dear all")
    window.page.route(TOOLS, lambda route: route.abort())
    window.page.goto(f"/messages/{message}/edit", wait_until="commit")
    expect(window.page.locator(".mode-notice")).to_contain_text("Save your text and reload the page")
    window.fill(body="# Dear friends")
    expect_draft(window)
    window.page.evaluate("0")  # reports arrive in order, so all earlier ones arrive before this result
    window.complaints.clear()  # the failed request and its consequences
    window.page.unroute(TOOLS)
    open_editor(window, f"/messages/{message}/edit")
    expect_in_body(window, "# Dear friends")


def test_only_real_losses_keep_the_source_open(window: Window, site: Site, owner: User) -> None:
    button = '<p><a class="button " href="https://a.example/">Buy</a></p>'
    picture = f'<p><img src="{site.url}/static/img/favicon.svg" alt="a<!--b"></p>'
    for text, mode in ((button, "writing"), (picture, "writing"), (f"{button}<!-- c -->", "html")):
        message = add_message(site, owner, format=MessageFormat.HTML, body=text)
        open_editor(window, f"/messages/{message}/edit")
        expect_mode(window, mode)
    expect(window.page.locator(".mode-notice")).to_contain_text("comments")


def test_the_author_learns_that_the_tools_were_not_loaded(window: Window, owner: User) -> None:
    editor = BlockEditor(window)
    window.page.route(QUILL, lambda route: route.abort())
    window.page.goto(FIRST_DESIGN, wait_until="commit")  # a held script delays the load event
    expect(window.page.locator(".mode-notice")).to_contain_text("Part of the editor was not loaded")
    expect(editor.covers().first).to_be_visible()
    window.page.evaluate("0")  # reports arrive in order, so all earlier ones arrive before this result
    window.complaints.clear()  # the failed request and its consequences


def test_the_current_way_of_writing_is_highlighted(window: Window, owner: User) -> None:
    open_editor(window, "/messages/new")
    plain = window.page.locator(".kind", has_text="MJML").evaluate(BACKGROUND)

    def list_highlighted() -> list[str]:
        kinds = window.page.locator(".kind").all()
        return [kind.locator("strong").inner_text() for kind in kinds if kind.evaluate(BACKGROUND) != plain]

    assert list_highlighted() == ["Text"]
    window.page.locator(".kind", has_text="HTML").first.click()
    assert list_highlighted() == ["HTML"]
