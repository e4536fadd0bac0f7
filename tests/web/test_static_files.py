"""Test static files and their use in templates."""

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "skymailing"
VENDOR = PACKAGE / "static" / "vendor"
TEMPLATES = sorted((PACKAGE / "templates").rglob("*.html"))
# Letters are shown by mail programs, without our stylesheets.
PAGES = [path for path in TEMPLATES if "emails" not in path.parts]
# Sandboxed frames with their own policy, and code for other websites.
FRAMES = {"messages/typed.html", "messages/no_letter.html", "forms/snippet.html"}


def test_every_icon_on_a_page_is_in_the_sprite() -> None:
    sprite = (VENDOR / "bootstrap-icons" / "icons.svg").read_text()
    available = set(re.findall(r'<symbol id="([\w-]+)"', sprite))
    named = {name for path in PAGES for name in re.findall(r'\bicon\("([\w-]+)"\)', path.read_text())}

    assert named - available == set()


def test_the_editors_sprite_contains_exactly_the_icons_in_use() -> None:
    available = set(
        re.findall(r'<symbol id="([\w-]+)"', (VENDOR / "bootstrap-icons" / "editor.svg").read_text())
    )
    used = re.compile(r'(?:tool_icon\("|(?:tool|act)\("\w+", "|\bicon\("|\bicon: "|\bhint\(")([\w-]+)"')
    scripts = [*(PACKAGE / "static" / "js" / "editor").glob("*.js")]
    pages = [path for path in PAGES if path.parent.name == "messages"]
    named = {
        name
        for path in [*pages, *scripts]
        for name in used.findall(re.sub(r'\{\{ icon\("[^}]*', "", path.read_text()))
    }
    # Some names are chosen by a script, or in a list of the view.
    menus = PACKAGE / "messages" / "views" / "menus.py"
    quoted = {
        name for path in [*pages, *scripts, menus] for name in re.findall(r'"([\w-]+)"', path.read_text())
    }

    assert named - available == set()
    assert available - quoted == set()


def test_every_bootstrap_class_on_a_page_is_in_the_reduced_stylesheet() -> None:
    """`make assets` reduces Bootstrap to the classes in use; run it when this test fails."""
    left_out = set((VENDOR / "bootstrap" / "left-out.txt").read_text().split())
    our_styles = "".join(path.read_text() for path in (PACKAGE / "static" / "css").glob("*.css"))
    named = {
        name
        for path in PAGES
        for classes in re.findall(r'class="([^"]*)"', path.read_text())
        for name in re.findall(r"[\w-]+", classes)
    }

    assert {name for name in named & left_out if f".{name}" not in our_styles} == set()


@pytest.mark.parametrize(
    "folder", [path for path in VENDOR.iterdir() if path.is_dir()], ids=lambda path: path.name
)
def test_every_vendored_package_has_its_licence(folder: Path) -> None:
    assert (folder / "LICENSE").stat().st_size > 0
    assert f"| {folder.name} |" in (VENDOR / "README.md").read_text()


@pytest.mark.parametrize(
    "name", sorted({str(path.relative_to(PACKAGE / "templates")) for path in PAGES} - FRAMES)
)
def test_a_page_obeys_the_content_security_policy(name: str) -> None:
    text = (PACKAGE / "templates" / name).read_text()

    assert not re.search(r"<script(?![^>]*\bsrc=)", text), "an inline script"
    assert "<style" not in text, "an inline stylesheet"
    assert not re.search(r"<[a-z][^>{]*\s(style|on[a-z]+)=", text), "an inline style or handler"
    assert not re.search(r'(src|href)="(https?:)?//', text), "a file from another site"


def test_the_stylesheet_of_fonts_has_the_ranges_of_the_font_files() -> None:
    """Otherwise, browsers would load a file for characters that it lacks, or ignore some that it contains."""
    script = (PACKAGE.parent / "tools" / "font.sh").read_text()
    defined = re.findall(r'^subset \w+ "(.+)"$', script, re.MULTILINE)
    used = re.findall(r"unicode-range: ([^;]+);", (VENDOR / "inter" / "font.css").read_text())

    assert len(defined) == 2
    assert [ranges.split(",") for ranges in defined] == [ranges.split(", ") for ranges in used]
