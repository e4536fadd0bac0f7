"""Test reports in a browser: their charts and printing."""

import re

from playwright.sync_api import expect

from tests.e2e.conftest import DEMO, OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import PHONE_DARK, Window

DAYS_CHART = "Chart.getChart(document.querySelector('[data-chart-of=days] canvas'))"
RATES_CHART = "Chart.getChart(document.querySelector('[data-chart-of=send-rates] canvas'))"


def test_the_report_charts_the_numbers_in_its_tables(demo: Window) -> None:
    demo.open("/reports/")
    expect(demo.main.locator(".chart canvas").first).to_be_visible()
    drawn = demo.page.evaluate(f"{DAYS_CHART}.data.datasets.map((dataset) => dataset.data)")
    totals = demo.main.locator("#days tfoot td").all_inner_texts()
    assert [str(sum(numbers)) for numbers in drawn] == totals[: len(drawn)]
    # Time runs from left to right, while the newest day is the first in the table.
    labels = demo.page.evaluate(f"{DAYS_CHART}.data.labels")
    days = demo.main.locator("#days tbody th").evaluate_all(
        "cells => cells.map((cell) => cell.dataset.label)"
    )
    assert labels == days[::-1]
    times = demo.main.locator("#days time").evaluate_all("times => times.map((time) => time.dateTime)")
    assert times == sorted(times, reverse=True)
    # Days without emails are hidden, but drawn.
    assert {len(numbers) for numbers in drawn} == {30}
    assert len(drawn) >= 3, "delivered, not delivered, not sent"
    days_shown = demo.main.locator("#days tbody tr").filter(visible=True)
    expect(days_shown).to_have_count(7)
    demo.main.locator(".has-later:has(#days) + .show-all > summary").click()
    assert 7 < days_shown.count() < 30
    # Lines of percentages, one for each send.
    rates = demo.page.evaluate(f"{RATES_CHART}.data.datasets.map((line) => [line.label, line.data])")
    assert [label for label, _values in rates] == ["Delivered", "Clicked"]
    assert demo.page.evaluate(f"{RATES_CHART}.config.type") == "line"
    sends = demo.main.locator("#send-rates tbody tr").count()
    assert [len(values) for _label, values in rates] == [sends, sends]
    assert all(90 < value <= 100 for value in rates[0][1])
    title = demo.page.evaluate(
        f"{RATES_CHART}.options.plugins.tooltip.callbacks.title([{{ chart: {RATES_CHART}, dataIndex: 0 }}])"
    )
    assert re.fullmatch(r"Weekly digest · \d{1,2} [A-Z][a-z]{2}( \d{4})?", title)
    demo.main.get_by_text("More numbers").click()
    expect(demo.main.locator("#reasons")).to_be_visible()
    demo.main.get_by_role("region", name="By mailing", exact=True).get_by_role("link").first.click()
    demo.expect_title("Report on “Weekly digest”")
    with demo.page.expect_download() as download:
        demo.main.get_by_role("link", name="Download as CSV").click()
    assert download.value.suggested_filename.endswith(".csv")


def test_a_report_can_be_printed_in_black_on_white(open_window: OpenWindow, site: Site) -> None:
    window = open_window(PHONE_DARK)
    window.sign_in(DEMO, site.passwords[DEMO])
    window.open("/reports/")
    page = window.page
    # Before printing, the page loads the parts that are otherwise loaded by scrolling. Playwright calls a
    # function returned by an expression, so the assignment is wrapped in a function.
    record = "document.body.dataset.printed = document.querySelector('main').innerText"
    page.evaluate(f"() => {{ window.print = () => {{ {record}; }}; }}")
    window.main.get_by_role("button", name=re.compile("Print|PDF")).click()
    loaded = re.compile(r"https://www\.example\.com/new")
    expect(page.locator("body")).to_have_attribute("data-printed", loaded)

    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    expect(page.locator(".site-header")).to_be_hidden()
    expect(window.main.locator("details:not(.fold)").first).to_be_hidden()
    expect(window.main.locator("#more-numbers")).to_be_hidden()
    expect(window.main.locator("#days")).to_be_visible()
    # Folded parts are printed.
    hidden_rows = window.main.locator("#days tbody tr:not([hidden])").filter(visible=False)
    expect(hidden_rows).to_have_count(0)
    for part in ("#days tr.is-later", "#growth", "#sends", "#sales", "#totals .causes"):
        expect(window.main.locator(part).first).to_be_visible()
    assert page.evaluate("getComputedStyle(document.querySelector('#days td')).color") == "rgb(23, 33, 43)"
    # The labels of the chart are repainted as well.
    assert page.evaluate(f"{DAYS_CHART}.options.plugins.legend.labels.color") == "rgb(82, 97, 112)"
    page.emulate_media(media="screen")
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.bsTheme") == "dark"
    expect(window.main.locator("#growth")).to_be_hidden()  # folded again


def test_a_bar_is_not_wide_even_if_there_are_few(demo: Window) -> None:
    demo.open("/reports/")
    days = demo.main.locator("#days time").evaluate_all("times => times.map((time) => time.dateTime)")
    demo.open(f"/reports/?since={days[1]}&until={days[0]}")
    widths = demo.page.evaluate(f"{DAYS_CHART}.getDatasetMeta(0).data.map((bar) => bar.width)")
    assert widths == [40, 40]


def test_the_times_of_a_run_are_labelled_in_whole_minutes(demo: Window) -> None:
    demo.open("/mailings/")
    demo.main.get_by_role("link", name="Weekly digest").click()
    demo.expect_title("Weekly digest")
    chart = "Chart.getChart(document.querySelector('[data-chart-of=timeline] canvas'))"
    labels = demo.page.evaluate(f"{chart}.data.labels")
    assert any(label.count(":") == 2 for label in labels), "bars of ten seconds"
    ticks = demo.page.evaluate(f"{chart}.scales.x.ticks.map((tick) => tick.label)")
    assert len(ticks) > 1
    assert all(label.count(":") == 1 for label in ticks)


def test_a_report_is_short_on_phones(open_window: OpenWindow, site: Site) -> None:
    window = open_window(PHONE_DARK)
    window.sign_in(DEMO, site.passwords[DEMO])
    window.open("/reports/")
    complaints = window.main.locator("#totals .outcome > div", has_text="Spam complaints").bounding_box()
    delivered = window.main.locator("#totals .outcome > div").first.bounding_box()
    assert complaints is not None
    assert delivered is not None
    assert complaints["width"] == delivered["width"]
    growth = window.main.locator("#growth")
    expect(growth).to_be_hidden()
    expect(window.main.locator("[name=since]")).to_be_hidden()
    assert window.page.evaluate("document.documentElement.scrollHeight") < 4 * 844
    window.main.locator("summary", has_text="Your clients").click()
    expect(growth.locator("canvas")).to_be_visible()
    window.main.locator("details.fold > summary", has_text=re.compile("^Clicks ·")).click()
    expect(window.main.locator("#links")).to_be_visible()
    window.expect_to_fit()
