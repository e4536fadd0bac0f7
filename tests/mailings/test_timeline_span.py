"""Test the answer in the title of a folded chart: when the letters of a run were sent."""

from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask, get_template_attribute

from skymailing.mailings.run_queries import Bar

pytestmark = pytest.mark.one_engine


FIRST = datetime(2026, 3, 1, 10, 5, 20, tzinfo=UTC)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        (FIRST, "10:05"),
        (FIRST + timedelta(seconds=20), "10:05"),
        (FIRST + timedelta(hours=2), "10:05 – 12:05"),
        (FIRST + timedelta(days=2), "1 Mar 2026 – 3 Mar 2026"),
    ],
)
def test_the_span(app: Flask, last: datetime, expected: str) -> None:
    with app.test_request_context():
        span = get_template_attribute("macros/charts.html", "timeline_span")
        assert span([Bar(FIRST, {}), Bar(last, {})]).strip() == expected
