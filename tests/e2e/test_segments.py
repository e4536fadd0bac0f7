"""Test building a segment by clicking: rows, groups, suggested values, the live count, and errors."""

import re

import pytest
from playwright.sync_api import Locator, expect
from sqlalchemy import insert, select

from skymailing.models import Client, Segment, Tag, User, client_tags
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import DESKTOP, PHONE, Screen, Window
from tests.support.factories import ClientFactory

CITY = {"field": "attribute.city", "op": "in", "value": ["omsk", "Tomsk"]}
BUILT = {
    "all": [
        CITY,
        {"field": "tag", "op": "is_not", "value": "wholesale"},
        {
            "any": [
                {"field": "attribute.orders", "op": "gte", "value": 3},
                {"field": "comment", "op": "is_set"},
            ]
        },
    ]
}


@pytest.fixture
def owner(site: Site) -> User:
    """Create a shop with clients in three towns, one of them tagged as wholesale."""
    user = site.add_user(name="Tea Shop", locale="en")
    with site.open_session() as session:
        own = session.get_one(User, user.id)
        own.attribute_types = {"city": "text", "orders": "number"}
        for name, city, orders in (
            ("ann", "Omsk", 5),
            ("bob", "Tomsk", 3),
            ("eve", "Omsk", 1),
            ("joe", "Tver", 9),
        ):
            values = {"city": city, "orders": str(orders)}
            ClientFactory.create(owner=own, email=f"{name}{user.id}@example.org", attributes=values)
        bob = session.scalars(select(Client).where(Client.email == f"bob{user.id}@example.org")).one()
        tag = Tag(owner_id=user.id, name="wholesale", name_key="wholesale")
        session.add(tag)
        session.flush()
        session.execute(insert(client_tags).values(tag_id=tag.id, client_id=bob.id))
    return user


def fill(
    row: Locator, field: str | None = None, comparison: str | None = None, value: str | None = None
) -> None:
    if field:
        row.get_by_label("Field").select_option(label=field)
    if comparison:
        row.get_by_label("Comparison").select_option(label=comparison)
    if value is None:
        return
    control = row.get_by_label("Value").last
    if control.evaluate("control => control.tagName") == "SELECT":
        control.select_option(label=value)
    else:
        control.fill(value)


def read_offered(window: Window) -> list[str]:
    """Return the suggestions of the first field that has any."""
    offered = window.page.locator("datalist").first.locator("option")
    expect(offered.first).to_be_attached()
    values: list[str] = offered.evaluate_all("options => options.map((option) => option.value)")
    return values


def open_editor(window: Window, owner: User) -> Window:
    window.sign_in(owner.email)
    window.open("/clients/")
    window.main.get_by_role("link", name="Segments").click()
    window.expect_title("Segments")
    window.main.get_by_role("link", name="New segment").click()
    window.expect_title("New segment")
    return window


@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=str)
def test_a_segment_is_built_by_clicking(
    open_window: OpenWindow, site: Site, owner: User, screen: Screen
) -> None:
    window = open_editor(open_window(screen), owner)
    window.fill(name="Big buyers of Omsk and Tomsk")
    reach = window.page.locator("#reach")
    expect(reach).to_contain_text("Enter a value")

    rows = window.main.locator(".condition")
    fill(rows.nth(0), "City", "is one of", "omsk")
    fill(rows.nth(0), value="Tomsk")  # in the field that has appeared
    expect(reach).to_contain_text("3 of 4 clients")
    # The towns of the clients are suggested.
    offered = window.page.locator("datalist option")
    expect(offered).to_have_count(3)
    assert offered.evaluate_all("options => options.map((option) => option.value)") == [
        "Omsk",
        "Tomsk",
        "Tver",
    ]

    window.main.get_by_role("button", name="Add condition").last.click()
    fill(rows.nth(1), "Tag", "is not", "wholesale")
    expect(reach).to_contain_text("2 of 4 clients")
    expect(reach.get_by_role("link")).to_have_count(2)

    window.main.get_by_role("button", name="Add group").click()
    fill(rows.nth(2), "Orders", "is at least", "3")
    fill(rows.nth(3), "Comment", "is filled in")
    expect(reach).to_contain_text("1 of 4 clients")
    window.expect_to_fit()
    window.main.get_by_role("button", name="Save").click()

    window.expect_title("Big buyers of Omsk and Tomsk")
    sentences = "City is omsk or Tomsk.*Tag is not wholesale.*Orders is at least 3.*Comment is filled in"
    expect(window.main.locator(".sentences").first).to_contain_text(re.compile(sentences, re.DOTALL))
    with site.open_session() as session:
        saved = session.scalars(select(Segment.conditions).where(Segment.owner_id == owner.id)).one()
    assert saved == BUILT


def test_conditions_can_be_removed_from_a_saved_segment(window: Window, site: Site, owner: User) -> None:
    with site.open_session() as session:
        segment = Segment(owner_id=owner.id, name="Big buyers", conditions=BUILT)
        session.add(segment)
    window.open(f"/segments/{segment.id}/edit")
    rows, reach = window.main.locator(".condition"), window.page.locator("#reach")
    expect(rows).to_have_count(4)
    expect(rows.nth(0).get_by_label("Value")).to_have_count(3)
    expect(reach).to_contain_text("1 of 4 clients")
    window.main.get_by_role("button", name="Remove group").click()
    expect(reach).to_contain_text("2 of 4 clients")
    window.main.get_by_role("button", name="Remove condition").nth(1).click()
    expect(reach).to_contain_text("3 of 4 clients")
    window.main.get_by_role("button", name="Save").click()
    window.expect_title("Big buyers")
    expect(window.main.locator(".sentences li")).to_have_count(1)


def test_an_error_is_beside_its_condition(window: Window) -> None:
    window.open("/segments/new")
    window.fill(name="Unfinished")
    rows = window.main.locator(".condition")
    fill(rows.nth(0), "City", "is", "Omsk")
    window.main.get_by_role("button", name="Add condition").click()
    fill(rows.nth(1), "Orders", "is between")
    window.main.get_by_role("button", name="Save").click()
    expect(window.main.locator(".field-errors")).to_have_text("Enter two values.")
    expect(rows.nth(1).locator(".field-errors")).to_be_visible()
    expect(rows.nth(0).locator(".field-errors")).to_have_count(0)
    expect(window.page.locator("#reach")).to_contain_text("2 of 4 clients")

    rows.nth(1).get_by_label("Value").first.fill("7")
    rows.nth(1).get_by_label("Value").last.fill("2")
    expect(rows.nth(1).locator(".field-errors")).to_have_text(
        "The first value must not be greater than the second one."
    )
    rows.nth(1).get_by_label("Value").last.fill("9")
    expect(rows.nth(1).locator(".field-errors")).to_have_count(0)
    expect(window.page.locator("#reach")).to_contain_text("0 of 4 clients")


def test_the_newest_conditions_win_on_a_slow_connection(window: Window) -> None:
    window.open("/segments/new")
    window.delay_responses("**/segments/preview", 1000)
    row, reach = window.main.locator(".condition").first, window.page.locator("#reach")
    requests: list[str] = []
    window.page.on(
        "request", lambda request: requests.append(request.url) if "preview" in request.url else None
    )
    with window.page.expect_request("**/segments/preview"):
        fill(row, "City", "is", "Tver")
    for city in ("Nowhere", "Elsewhere", "Omsk"):
        row.get_by_label("Value").fill(city)
    expect(reach).to_contain_text("2 of 4 clients")
    window.page.wait_for_timeout(100)
    expect(reach).to_contain_text("2 of 4 clients")
    assert len(requests) <= 3


def test_conditions_written_by_a_program_are_edited_as_json(window: Window, site: Site, owner: User) -> None:
    city = {"field": "attribute.city", "op": "equals", "value": "Omsk"}
    with site.open_session() as session:
        segment = Segment(owner_id=owner.id, name="Deep", conditions={"all": [{"any": [{"all": [city]}]}]})
        session.add(segment)
    window.open(f"/segments/{segment.id}/edit")
    expect(window.main.get_by_text("too complex for the editor")).to_be_visible()
    expect(window.page.locator("#reach")).to_contain_text("2 of 4 clients")
    json = window.main.get_by_label("Conditions as JSON")
    json.fill('{"field": "attribute.orders", "op": "gt", "value": 4}')
    json.blur()
    expect(window.main.locator(".condition")).to_have_count(1)
    expect(window.page.locator("#reach")).to_contain_text("2 of 4 clients")
    window.main.get_by_role("button", name="Save").click()
    window.expect_title("Deep")
    expect(window.main.locator(".sentences")).to_have_text("Orders is more than 4")


def test_conditions_can_be_edited_without_javascript(
    open_window: OpenWindow, site: Site, owner: User
) -> None:
    city = {"field": "attribute.city", "op": "equals", "value": "Omsk"}
    with site.open_session() as session:
        segment = Segment(owner_id=owner.id, name="Plain", conditions=city)
        session.add(segment)
    window = open_window(DESKTOP, javascript=False)
    window.sign_in(owner.email)
    window.open(f"/segments/{segment.id}/edit")
    expect(window.main.locator(".sentences")).to_have_text("City is Omsk")
    window.main.get_by_text("Advanced").click()
    window.fill(conditions='{"field": "attribute.city", "op": "equals", "value": "Tver"}')
    window.main.get_by_role("button", name="Save").click()
    window.expect_title("Plain")
    expect(window.main.locator(".sentences")).to_have_text("City is Tver")
    window.expect_to_fit()
