"""Test with axe-core that no page has a serious accessibility problem, in light or dark mode.

Each page must also fit its screen, down to the smallest phone, and be in the user's language.
"""

import json
from importlib.resources import files
from typing import Any

import pytest

from skymailing.models import Role
from tests.e2e.conftest import OpenWindow
from tests.e2e.pages import DEMO, paths_for
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, Screen, Window

SMALL = Screen(360, 740)  # the size of the smallest phones in use
AXE = (files("axe_playwright_python") / "axe.min.js").read_text()
# Runs the rules for WCAG 2.2 AA and axe's best practices.
RUN = """async () => {
    const found = await axe.run(document, {
        runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
        resultTypes: ["violations"],
        iframes: false, // they contain letters, whose HTML is not ours
    });
    return found.violations.map(({ id, impact, nodes }) => ({
        id, impact,
        nodes: nodes.slice(0, 3).map(({ html, failureSummary }) => html.slice(0, 160) + " " + failureSummary),
    }));
}"""
IS_PAINTED = """(color_scheme) => document.documentElement.dataset.bsTheme === color_scheme
    && new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""
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
    window = open_window(screen, language)
    sign_in(site, window, role, language)
    window.page.emulate_media(reduced_motion="reduce")  # so that no color is measured during a transition
    violations_by_page = {}
    for path in paths_for(site, role):
        with window.expecting(404):
            window.page.goto("about:blank")
            window.page.goto(path)
        window.expect_to_fit()
        assert window.page.locator("html").get_attribute("lang") == language
        for color_scheme in ("light", "dark"):
            window.page.emulate_media(color_scheme=color_scheme)
            window.page.wait_for_function(IS_PAINTED, arg=color_scheme)
            if serious := find_violations(window):
                violations_by_page[path, color_scheme] = serious
    assert not violations_by_page, json.dumps(
        {" ".join(where): what for where, what in violations_by_page.items()}, ensure_ascii=False, indent=1
    )


def sign_in(site: Site, window: Window, role: Role | None, language: str) -> None:
    if role is Role.USER:
        window.sign_in(DEMO, site.passwords[DEMO])
    elif role is not None:
        window.sign_in(site.add_user(role, locale=language).email)


def find_violations(window: Window) -> list[Any]:
    if not window.page.evaluate("'axe' in window"):
        window.page.evaluate(AXE)
    return [violation for violation in window.page.evaluate(RUN) if violation["impact"] in SERIOUS]
