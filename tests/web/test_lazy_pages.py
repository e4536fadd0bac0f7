"""Test that lazily compiled rules build the same URLs as Werkzeug's own rules."""

from typing import Any

import pytest
from flask import Flask
from werkzeug.routing import BuildError, Map, MapAdapter, Rule

from skymailing.web.lazy_pages import LazyRule

RULES: list[dict[str, Any]] = [
    {"string": "/", "endpoint": "home"},
    {"string": "/clients/", "endpoint": "clients", "defaults": {"page": 1}},
    {"string": "/clients/page/<int:page>", "endpoint": "clients"},
    {"string": "/clients/<int:client_id>/<path:rest>", "endpoint": "files"},
    {"string": "/rules/<rule>/<values>", "endpoint": "names"},
]


def bind(rule_class: type[Rule]) -> MapAdapter:
    return Map([rule_class(**rule) for rule in RULES]).bind("sky.example")


@pytest.mark.parametrize(
    ("endpoint", "values"),
    [
        ("home", {}),
        ("home", {"next": "/clients/?a=b&c", "tag": ["я", "b"]}),
        ("clients", {"page": 1}),
        ("clients", {"page": 2, "q": "anna@example.org"}),
        ("files", {"client_id": 3, "rest": "a b/ц.png"}),
        ("names", {"rule": "r/1", "values": "v", "self": "s", "append_unknown": "x"}),
    ],
)
def test_urls_equal_those_of_werkzeug(endpoint: str, values: dict[str, object]) -> None:
    lazy, plain = bind(LazyRule), bind(Rule)
    for _ in range(2):  # first compiled, then reused
        for append_unknown in (False, True):
            built = lazy.build(endpoint, values, append_unknown=append_unknown)
            assert built == plain.build(endpoint, values, append_unknown=append_unknown)


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(BuildError):
        bind(LazyRule).build("files", {"client_id": 3})


@pytest.mark.one_engine
def test_all_pages_have_lazy_rules(app: Flask) -> None:
    assert {type(rule) for rule in app.url_map.iter_rules()} == {LazyRule}
