"""Test content managers in a browser: they write, preview and publish articles for visitors to read."""

import re
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from playwright.sync_api import expect

from skymailing.models import Role
from tests.e2e.conftest import OpenWindow
from tests.e2e.editor import choose_mode, expect_draft, expect_in_body, expect_mode, letter
from tests.e2e.site import Site
from tests.e2e.window import PHONE, Window


@pytest.fixture
def author(site: Site, open_window: OpenWindow) -> Window:
    """Open a window in which a content manager from Moscow is signed in."""
    window = open_window()
    window.sign_in(site.add_user(Role.CONTENT, name="Ada", timezone="Europe/Moscow").email)
    return window


@pytest.fixture
def photograph(tmp_path: Path) -> Path:
    image = Image.new("RGB", (1800, 900), "darkslateblue")
    ImageDraw.Draw(image).ellipse((600, 150, 1200, 750), fill="orange")
    path = tmp_path / "sunset.png"
    image.save(path)
    return path


def write_article(author: Window, title: str, text: str) -> None:
    author.open("/manager/articles/")
    author.page.get_by_role("link", name="New article").click()
    expect_mode(author, "writing")
    author.fill(title=title)
    choose_mode(author, "markdown")
    author.fill(body=text)


def find_row(author: Window, title: str) -> str:
    """Open the list and return the article's row."""
    author.open("/manager/articles/")
    author.choose(q=title)
    (row,) = author.rows()
    return row


def test_an_article_with_an_image_is_previewed_and_published(
    author: Window, open_window: OpenWindow, photograph: Path
) -> None:
    write_article(author, "Evening light", "It was **late**.\n\n<script>alert(1)</script>\n\n- one\n- two")
    frame = letter(author)
    expect(frame.get_by_role("heading", name="Evening light")).to_be_visible()
    expect(frame.locator("strong")).to_have_text("late")
    assert frame.locator("script").count() == 0
    author.fill(summary="About the hour before dark.", image_alt="An orange sun")
    author.page.get_by_label("Image", exact=True).set_input_files(photograph)
    author.main.get_by_role("button", name="Save draft").click()
    author.expect_notice("Article saved.")
    assert "draft" in find_row(author, "Evening light")

    visitor = open_window()
    visitor.open("/blog/")
    assert visitor.page.get_by_role("link", name="Evening light").count() == 0
    assert visitor.page.request.get("/blog/evening-light").status == 404

    author.page.get_by_role("link", name="Evening light", exact=True).click()
    author.main.get_by_role("button", name="Publish now").click()
    author.expect_notice("Article saved.")
    visitor.page.reload()
    visitor.page.get_by_role("link", name="Evening light").click()
    visitor.expect_title("Evening light")
    picture = visitor.main.get_by_role("img", name="An orange sun")
    expect(picture).to_be_visible()
    assert picture.evaluate("picture => picture.decode().then(() => picture.naturalWidth)") > 400
    expect(visitor.main).to_contain_text("Ada")
    assert visitor.page.locator("script", has_text="alert").count() == 0
    preview = visitor.page.locator("meta[property='og:image']").get_attribute("content")
    assert visitor.page.request.get(str(preview)).ok

    reader = open_window(PHONE)
    reader.open("/blog/evening-light")
    picture = reader.main.get_by_role("img", name="An orange sun")
    assert "-400x200." in picture.evaluate("picture => picture.decode().then(() => picture.currentSrc)")


def test_a_closed_tab_loses_nothing(author: Window, open_window: OpenWindow) -> None:
    author.open("/manager/articles/new")
    expect_mode(author, "writing")
    author.fill(title="Half a text")
    author.page.locator(".ql-editor").fill("Only the beginning")
    expect_in_body(author, "<p>Only the beginning</p>")
    expect_draft(author)
    expect(letter(author).locator(".prose")).to_have_text("Only the beginning")

    author.open("/manager/articles/")
    author.page.get_by_role("link", name="Half a text").click()
    expect(author.page.locator(".ql-editor")).to_have_text("Only the beginning")
    author.main.get_by_role("button", name="Publish now").click()
    author.expect_notice("Article saved.")
    visitor = open_window()
    visitor.open("/blog/half-a-text")
    expect(visitor.page.locator(".prose p")).to_have_text("Only the beginning")


def test_the_visible_part_of_an_image_is_chosen_with_the_mouse_and_the_keyboard(
    author: Window, photograph: Path
) -> None:
    write_article(author, "Shifted", "Text")
    author.page.get_by_label("Image", exact=True).set_input_files(photograph)
    frame = author.page.locator(".cover-frame")
    expect(frame.locator("img")).to_have_attribute("src", re.compile("^data:image/png"))
    slider = author.page.get_by_label("Horizontal position")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    author.page.mouse.move(*middle)
    author.page.mouse.down()
    author.page.mouse.move(middle[0] + box["width"], middle[1])
    author.page.mouse.up()
    expect(slider).to_have_value("0")
    slider.press("ArrowRight")
    expect(slider).to_have_value("1")
    expect(frame.locator("img")).to_have_css("object-position", "1% 50%")
    author.fill(image_alt="An orange sun")
    author.main.get_by_role("button", name="Save draft").click()
    author.expect_notice("Article saved.")
    author.page.get_by_role("link", name="Shifted", exact=True).click()
    expect(slider).to_have_value("1")


def test_an_edit_is_visible_on_the_next_request(author: Window, open_window: OpenWindow) -> None:
    write_article(author, "First words", "Before")
    author.main.get_by_role("button", name="Publish now").click()
    author.expect_notice("Article saved.")
    visitor = open_window()
    visitor.open("/blog/first-words")
    find_row(author, "First words")
    author.page.get_by_role("link", name="First words", exact=True).click()
    author.fill(body="After")
    author.main.get_by_role("button", name="Save", exact=True).click()
    author.expect_notice("Article saved.")
    visitor.page.reload()
    expect(visitor.page.locator(".prose")).to_have_text("After")


def test_an_article_with_a_future_date_is_not_published_yet(author: Window, open_window: OpenWindow) -> None:
    write_article(author, "Next year", "Not yet")
    author.fill(published_at="2050-01-02T09:30")
    author.main.get_by_role("button", name="Save", exact=False).first.click()
    author.expect_notice("Article saved.")
    row = find_row(author, "Next year")
    assert "scheduled" in row
    assert "2 Jan 2050, 09:30" in row
    visitor = open_window()
    assert visitor.page.request.get("/blog/next-year").status == 404
    author.open("/blog/next-year")
    expect(author.main).to_contain_text("draft")


def test_an_error_is_shown_next_to_its_field(author: Window, photograph: Path, tmp_path: Path) -> None:
    write_article(author, "Wrong picture", "Text")
    text_file = tmp_path / "picture.jpg"
    text_file.write_text("no picture at all")
    author.page.get_by_label("Image", exact=True).set_input_files(text_file)
    author.fill(image_alt="Nothing")
    author.main.get_by_role("button", name="Save draft").click()
    expect(author.page.locator("#image-error")).to_contain_text("JPEG, PNG or WebP")
    expect(author.page.get_by_label("Title")).to_have_value("Wrong picture")
    author.expect_to_fit()


def test_deleting_an_article_requires_confirmation(author: Window) -> None:
    write_article(author, "Short-lived", "Text")
    author.main.get_by_role("button", name="Publish now").click()
    author.expect_notice("Article saved.")
    find_row(author, "Short-lived")
    author.page.get_by_role("link", name="Delete Short-lived").click()
    author.expect_title("Delete this article?")
    author.main.get_by_role("link", name="No, go back").click()
    author.page.get_by_role("link", name="Delete Short-lived").click()
    author.main.get_by_role("button", name="Delete").click()
    author.expect_notice("Article deleted.")
    assert author.page.request.get("/blog/short-lived").status == 404


def test_a_content_manager_sees_only_articles(author: Window) -> None:
    author.open("/manager/")
    links = author.page.get_by_role("navigation", name="Panel").get_by_role("link")
    assert links.all_inner_texts() == ["Articles"]
    for path in ("users", "mailings", "runs", "audit"):
        assert author.page.request.get(f"/manager/{path}/").status == 403
