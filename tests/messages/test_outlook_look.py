"""Test the preview that roughly imitates Outlook for Windows."""

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from skymailing.messages.outlook_look import drop_media_rules, imitate_outlook
from skymailing.models import User
from tests.support.factories import MessageFactory
from tests.support.starters import compose_starter

pytestmark = pytest.mark.one_engine


def test_only_conditional_comments_for_outlook_are_shown() -> None:
    html = (
        "<html><head></head><body><!--[if mso]><b>Word</b><![endif]-->"
        "<!--[if !mso]><!--><i>Web</i><!--<![endif]-->"
        "<!--[if (gte mso 9)|(IE)]><u>Nine</u><![endif]-->"
        "<!--[if lt mso 9]>old<![endif]--><!--[if IE]>IE<![endif]-->"
        "<!-- note --></body></html>"
    )
    page = imitate_outlook(html)
    assert "<body><b>Word</b><u>Nine</u><!-- note --></body>" in page


def test_media_rules_are_dropped_and_other_rules_stay() -> None:
    css = "a { color: red } @media (max-width: 9px) { b { x: y } @media print { c { d: e } } } f { g: h }"
    assert drop_media_rules(css) == "a { color: red }  f { g: h }"
    assert drop_media_rules("@media screen { a {") == ""


@given(st.text("<!-[if mso]>vroundct:{}@media/style \"'#"))
def test_any_text_is_accepted(text: str) -> None:
    assert "<style>" in imitate_outlook(text)


def test_our_buttons_keep_their_colour_and_link() -> None:
    page = imitate_outlook(compose_starter("sale", "en").body)
    assert "roundrect" not in page
    assert "[if" not in page.replace("[if IE", "")
    assert "inline-flex" in page or "mso-padding-alt" not in page
    assert "<a href=" in page


def test_the_editor_and_the_page_of_a_message_show_the_preview(
    browser: FlaskClient, session: Session, user: User
) -> None:
    body = "<!--[if mso]><b>Word</b><![endif]--><p>Hello</p>"
    message = MessageFactory.create(owner=user, format="html", body=body)
    session.commit()
    path = f"/messages/{message.id}/preview?part=html"
    assert "<!--[if mso]><b>Word</b>" in browser.get(path).text
    shown = browser.get(f"{path}&look=outlook")
    assert "[if mso]" not in shown.text
    assert "<b>Word</b>" in shown.text
    assert "sandbox" in shown.headers["Content-Security-Policy"]
    typed = {"subject": "News", "format": "html", "body": body, "part": "html", "language": "en"}
    assert "[if mso]" in browser.post("/messages/preview", data=typed).text
    assert "[if mso]" not in browser.post("/messages/preview", data=typed | {"look": "outlook"}).text
