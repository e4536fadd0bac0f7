"""Test with axe-core that no page has a serious accessibility problem, in light or dark mode.

Each page must also fit its screen, down to the smallest phone, and be in the user's language.
"""

import json
from importlib.resources import files
from typing import Any, Literal

import pytest
from playwright.sync_api import expect

from skymailing.models import Role
from tests.e2e.blocks import BlockEditor
from tests.e2e.conftest import OpenWindow
from tests.e2e.pages import DEMO, paths_for
from tests.e2e.public_pages import add_owner, form_paths, letter_link_paths, letter_paths
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, Screen, Window

SMALL = Screen(360, 740)  # the size of the smallest phones in use
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]  # the rules of WCAG 2.2 AA
OUR_RULES = [*WCAG, "best-practice"]
COLOR_RULES = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
RUN = """async (rules) => {
    const found = await axe.run(document, {
        runOnly: rules,
        resultTypes: ["violations"],
        iframes: false, // they contain letters, whose HTML is not ours
    });
    return found.violations.map(({ id, impact, nodes }) => ({
        id, impact,
        nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => html.slice(0, 160) + " " + failureSummary),
    }));
}"""
# The data that the other rules check: the position of each element, and whether it is visible.
LAYOUT = """[...document.body.querySelectorAll("*")].map((node) => {
    const { x, y, width, height } = node.getBoundingClientRect();
    return [node.checkVisibility({ visibilityProperty: true, opacityProperty: true }), x, y, width, height];
}).join(";")"""
IS_PAINTED = """(color_scheme) => document.documentElement.dataset.bsTheme === color_scheme
    && new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""
COLOR_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
Problems = dict[str, list[Any]]  # by color scheme
Rules = list[str] | dict[str, Any]  # tags of rules, or a value for axe's `runOnly`
SERIOUS = ("serious", "critical", "moderate")


@pytest.mark.parametrize(
    ("role", "screen", "language"),
    [
        (None, SMALL, "ru"),
        (Role.USER, DESKTOP, "en"),
        (Role.USER, SMALL, "ru"),
        (Role.MANAGER, SMALL, "en"),
        (Role.CONTENT, DESKTOP, "ru"),
        (Role.ADMIN, DESKTOP, "en"),
    ],
    ids=["visitor-small-ru", "user", "user-small-ru", "manager-small", "content-ru", "admin"],
)
def test_each_page_fits_and_has_no_serious_problem(
    site: Site, open_window: OpenWindow, role: Role | None, screen: Screen, language: str
) -> None:
    window = open_still_window(open_window, screen, language)
    sign_in(site, window, role, language)
    found = {}
    for path in paths_for(site, role):
        if "#" in path:  # otherwise, the browser would only scroll the page that is already open
            window.page.goto("about:blank")
        with window.expecting(404, 410):
            window.page.goto(path)
        found[path] = check_page(window, language)
    expect_none(found)


@pytest.mark.parametrize(("screen", "language"), [(DESKTOP, "en"), (SMALL, "ru")], ids=str)
def test_the_fields_of_each_block_fit_and_have_no_serious_problem(
    site: Site, open_window: OpenWindow, screen: Screen, language: str
) -> None:
    window = open_still_window(open_window, screen, language)
    window.sign_in(site.add_user(locale=language).email)
    editor = BlockEditor(window)
    editor.open()
    found = {}
    add = window.page.locator('[data-act="add"]' if screen is SMALL else '[data-tab="add"]')
    for place in range(editor.types.locator("li").count()):
        add.click()
        editor.types.get_by_role("button").nth(place).click()
        editor.panel.evaluate(
            "(panel) => panel.querySelectorAll('details').forEach((group) => (group.open = true))"
        )
        found[f"block {place}"] = {
            scheme: [violation for violation in violations if not is_covered_block(violation)]
            for scheme, violations in check_page(window, language).items()
        }
    expect_none(found)


def is_covered_block(violation: Any) -> bool:
    """Return whether the panel, which covers the letter's lower part on a phone, covers a part of a block."""
    nodes = violation["nodes"]
    return violation["id"] == "target-size" and all('class="block-cover"' in node for node in nodes)


@pytest.mark.usefixtures("no_earlier_signups")
def test_the_pages_after_a_form_fit_and_have_no_serious_problem(site: Site, open_window: OpenWindow) -> None:
    window = open_still_window(open_window, SMALL, "ru")
    window.open(form_paths(site, add_owner(site))[0])
    found = {}
    subscribe = window.main.get_by_role("button", name="Подписаться")
    subscribe.click()
    expect(window.main.locator(".field-errors")).to_have_count(2)
    found["errors"] = check_page(window, "ru")
    window.fill(email="anna@mail.example", **{"'attribute.birthday'": "1990-05-17"})
    subscribe.click()  # immediately, like a bot
    window.expect_title("Ещё один шаг")
    found["step"] = check_page(window, "ru")
    subscribe.click()
    window.expect_title("Проверьте почту")
    found["sent"] = check_page(window, "ru")
    expect_none(found)


def test_the_pages_after_unsubscribing_fit_and_have_no_serious_problem(
    site: Site, open_window: OpenWindow
) -> None:
    window = open_still_window(open_window, SMALL, "ru")
    _unsubscribe, preferences, *_ = letter_link_paths(site, add_owner(site))
    found = {}
    window.open(preferences)
    window.main.get_by_role("button", name="Сохранить").click()
    expect(window.main.get_by_role("status")).to_be_visible()
    found["saved"] = check_page(window, "ru")
    for button in ("Отписаться от всех писем", "Отправить ответ", "Отменить и получать письма"):
        window.main.get_by_role("button", name=button).click()
        window.page.wait_for_load_state()
        found[button] = check_page(window, "ru")
    expect_none(found)


def test_letters_on_the_web_fit_and_have_no_serious_problem(site: Site, open_window: OpenWindow) -> None:
    """Letters are documents without landmarks, which are only a best practice."""
    window = open_still_window(open_window, SMALL, "ru")
    found: dict[str, Problems] = {}
    for path in letter_paths(site):
        response = window.page.goto(path)
        assert response is not None
        assert response.ok
        window.expect_to_fit()
        html = response.text()
        # Open the page again without the policy for letters, under which axe cannot run.
        window.page.goto("about:blank")
        window.page.set_content(html)
        window.page.add_style_tag(content="html { background: Canvas }")  # axe assumes white
        found[path] = {}
        for color_scheme in COLOR_SCHEMES:
            window.page.emulate_media(color_scheme=color_scheme)
            found[path][color_scheme] = find_violations(window, WCAG)
    expect_none(found)


def open_still_window(open_window: OpenWindow, screen: Screen, language: str) -> Window:
    """Open a window without animations, so that no colour is measured during a transition."""
    window = open_window(screen, language)
    window.page.emulate_media(reduced_motion="reduce")
    return window


def check_page(window: Window, language: str) -> Problems:
    """Check the open page; return its accessibility problems in each colour scheme.

    If the second scheme changes only colours, the other rules need not run again.
    """
    window.expect_to_fit()
    assert window.page.locator("html").get_attribute("lang") == language
    found: Problems = {}
    layouts: list[str] = []
    for color_scheme in COLOR_SCHEMES:
        window.page.emulate_media(color_scheme=color_scheme)
        window.page.wait_for_function(IS_PAINTED, arg=color_scheme)
        layouts.append(window.page.evaluate(LAYOUT))
        rules: Rules = COLOR_RULES if layouts[-1] in layouts[:-1] else OUR_RULES
        found[color_scheme] = find_violations(window, rules)
    return found


def expect_none(found: dict[str, Problems]) -> None:
    """Check that no page has a problem in any colour scheme."""
    serious = {
        f"{page} {color_scheme}": violations
        for page, schemes in found.items()
        for color_scheme, violations in schemes.items()
        if violations
    }
    assert not serious, json.dumps(serious, ensure_ascii=False, indent=1)


def sign_in(site: Site, window: Window, role: Role | None, language: str) -> None:
    if role is Role.USER:
        window.sign_in(DEMO, site.passwords[DEMO])
    elif role is not None:
        window.sign_in(site.add_user(role, locale=language).email)


def find_violations(window: Window, rules: Rules = OUR_RULES) -> list[Any]:
    if not window.page.evaluate("'axe' in window"):
        window.page.evaluate(AXE)
    return [violation for violation in window.page.evaluate(RUN, rules) if violation["impact"] in SERIOUS]
