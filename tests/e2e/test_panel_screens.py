"""Test that every panel page fits every screen, in both languages."""

import pytest
from playwright.sync_api import expect
from sqlalchemy import select

from skymailing.models import Attempt, Mailing, MailingKind, MailingState, Role, User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import PHONE, SCREENS, Screen


def panel_paths(site: Site) -> list[str]:
    """Return the path of each kind of page, with demo data."""
    with site.open_session() as session:
        owner = session.scalars(select(User).where(User.email == "demo@example.com")).one()
        is_running = (Mailing.state == MailingState.RUNNING) & (Mailing.kind == MailingKind.MAILING)
        running = session.scalars(select(Mailing).where(Mailing.owner_id == owner.id, is_running)).one()
        attempt = session.scalars(select(Attempt).where(Attempt.mailing_id == running.id)).first()
        assert attempt is not None
        return [
            "/manager/",
            "/manager/mailings/",
            "/manager/mailings/?refused=yes",
            f"/manager/mailings/{running.id}/",
            f"/manager/mailings/{running.id}/log",
            f"/manager/mailings/disable?id={running.id}",
            "/manager/runs/",
            f"/manager/runs/{attempt.run_id}/",
            f"/manager/runs/deliveries/{attempt.delivery_id}/",
            "/manager/reputation/",
            "/manager/returned/",
            "/manager/senders/",
            "/manager/users/",
            "/manager/users/?suspicious=yes&bounces=1",
            f"/manager/users/{owner.id}/",
            f"/manager/users/block?id={owner.id}",
            f"/manager/users/{owner.id}/role",
            "/manager/articles/",
            "/manager/articles/new",
            "/manager/audit/",
        ]


@pytest.mark.parametrize("screen", SCREENS, ids=str)
@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_panel_fits_every_screen(
    site: Site, open_window: OpenWindow, screen: Screen, language: str
) -> None:
    window = open_window(screen)
    window.sign_in(site.add_user(Role.ADMIN, locale=language).email)
    for path in panel_paths(site):
        window.open(path)
        assert window.page.locator("html").get_attribute("lang") == language
        window.expect_color_scheme()


@pytest.mark.parametrize("locale", ["en", "ru"])
def test_the_week_is_readable_on_a_phone(site: Site, open_window: OpenWindow, locale: str) -> None:
    window = open_window(PHONE)
    window.sign_in(site.add_user(Role.MANAGER, locale=locale).email)
    window.open("/manager/")
    titles = window.main.locator("table.days thead th")
    assert titles.count() == 4
    # Without breaks, a word that does not fit reaches into the next column.
    fits = """(cells) => cells.every((cell) => {
        cell.style.overflowWrap = "normal";
        cell.style.hyphens = "manual";
        return cell.scrollWidth <= cell.clientWidth;
    })"""
    assert titles.evaluate_all(fits)


@pytest.mark.parametrize("path", ["/manager/", "/manager/reputation/", "/manager/audit/"])
def test_the_menu_is_one_row_on_a_phone_and_shows_the_current_page(
    site: Site, open_window: OpenWindow, path: str
) -> None:
    window = open_window(PHONE)
    window.sign_in(site.add_user(Role.ADMIN, locale="ru").email)
    window.open(path)
    menu = window.main.locator(".panel-nav")
    expect(menu.locator("[aria-current]")).to_be_in_viewport(ratio=1)
    tops = menu.locator("a").evaluate_all("(links) => links.map((link) => link.offsetTop)")
    assert len(tops) > 5
    assert len(set(tops)) == 1


def test_a_phone_folds_all_filters_but_the_first(site: Site, open_window: OpenWindow) -> None:
    window = open_window(PHONE)
    window.sign_in(site.add_user(Role.MANAGER).email)
    window.open("/manager/mailings/?refused=yes")
    expect(window.main.locator("[name=q]")).to_be_visible()
    for name in ("owner", "state", "refused"):
        expect(window.main.locator(f"[name={name}]")).to_be_hidden()
    expect(window.main.get_by_role("link", name="With undelivered emails")).to_be_in_viewport(ratio=1)
    window.choose(owner="demo@", refused="yes")
    for name in ("owner", "state", "refused"):
        expect(window.main.locator(f"[name={name}]")).to_be_visible()


def test_the_header_fits_a_small_laptop(site: Site, open_window: OpenWindow) -> None:
    """Use the longest words, all of an administrator's links, and a long name."""
    window = open_window(Screen(980, 700))
    user = site.add_user(Role.ADMIN, locale="ru", name="Константин Константинопольский")
    window.sign_in(user.email)
    window.open("/manager/")
    window.expect_to_fit()
