"""Test that no word is broken in the middle on phones: addresses break only at punctuation."""

from typing import Any

from skymailing.models import User
from tests.e2e.conftest import OpenWindow
from tests.e2e.site import Site
from tests.e2e.window import PHONE
from tests.support.factories import ClientFactory, MailingFactory

# Finds words on more than one line. A text node ends at each <wbr>, so that only other breaks are found.
FIND_BROKEN = r"""() => {
    const found = [], nodes = document.createTreeWalker(document.querySelector("main"), NodeFilter.SHOW_TEXT);
    document.querySelectorAll("main details").forEach((details) => { details.open = true; });
    while (nodes.nextNode()) {
        const node = nodes.currentNode, parent = node.parentElement;
        if (parent.closest("script, style, textarea, option, .visually-hidden, .columns-menu")) continue;
        for (const match of node.data.matchAll(/[^\s\u00a0\u2010-\u2014-]{3,}/g)) {
            const range = document.createRange();
            range.setStart(node, match.index);
            range.setEnd(node, match.index + match[0].length);
            const boxes = [...range.getClientRects()].filter((box) => box.width);
            if (boxes.length && boxes.at(-1).top - boxes[0].top > 8) found.push(match[0]);
        }
    }
    return found;
}"""
LONG = "mikhail.kuznetsov-ivanovsky{}@subdomain.example.com"


def add_data(site: Site, user: User) -> list[str]:
    """Add clients with long addresses, and a mailing; return the paths of their pages."""
    with site.open_session() as session:
        own = session.get_one(User, user.id)
        fields = {"программа_лояльности": "серебряный", "city": "Екатеринбург"}
        clients = [
            ClientFactory.create(
                owner=own, email=LONG.format(number), full_name="Михаил Кузнецов", attributes=fields
            )
            for number in range(2)
        ]
        mailing = MailingFactory.create(owner=own, name="Мастерская закрыта в понедельник")
        first, second = (client.id for client in clients)
        pages: list[Any] = ["/clients/", "/clients/duplicates", "/clients/new", f"/clients/{first}"]
        return [*pages, f"/clients/{first}/merge?other={second}", f"/mailings/{mailing.id}"]


def test_no_word_is_broken_on_a_phone(site: Site, open_window: OpenWindow) -> None:
    user = site.add_user(locale="ru")
    paths = add_data(site, user)
    window = open_window(PHONE, "ru")
    window.sign_in(user.email)
    broken = {}
    for path in paths:
        window.open(path)
        if found := window.page.evaluate(FIND_BROKEN):
            broken[path] = found
    assert broken == {}
