"""Test that values are inserted in the right places."""

import pytest

from skymailing.delivery.rendering.letter import Content, Recipient
from tests.delivery.rendered import ANN, TEXT, get_body, parse_valid, render

pytestmark = pytest.mark.one_engine


def test_values_may_be_repeated_and_follow_each_other() -> None:
    body = "{{ name }}{{ name }}, {{ email }}{{ name }} " + 2 * "{{ client.city }}" + " & {{ email }}!"
    letter = parse_valid(render(Content("{{ name }}{{ name }}", TEXT, body)))
    city, (name, email) = "Казань", (ANN.name, ANN.email)
    assert get_body(letter, "plain").startswith(f"{name}{name}, {email}{name} {city}{city} & {email}!\n")
    assert letter["Subject"] == name + name
    nameless = parse_valid(render(Content("x", TEXT, body), Recipient(ANN.email, "", {})))
    assert get_body(nameless, "plain").startswith(f", {email}  & {email}!\n")
