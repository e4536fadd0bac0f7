"""Letters for the checks: for each check, some in which it must speak and some in which it must not."""

from typing import Any

from skymailing.checkup.letters import Letter, Link

PROSE = """We have baked new bread this week, with rye, seeds and honey. Come on Friday or Saturday, before
noon, and taste a slice: the first ten loaves are smaller and cost half. Our cat sends her regards. """


def write(subject: str = "Fresh bread on Friday", body: str = PROSE, **values: Any) -> Letter:
    """Return a letter with this text in both parts."""
    return Letter(**{"subject": subject, "html": f"<p>{body}</p>", "text": body} | values)


def link(url: str, label: str = "Order now") -> Letter:
    return write(links=(Link(url, label),))


def picture(body: str, **values: Any) -> Letter:
    """Return a letter with a picture above its text."""
    html = f'<img src="https://shop.ru/bread.jpg" alt="{PROSE}"><p>{body}</p>'
    return write(body=body, **{"html": html, "picture_urls": ("https://shop.ru/bread.jpg",)} | values)


SPEAKS: dict[str, list[Letter]] = {
    "subject_is_set": [write(""), write(" ")],
    "subject_is_new": [
        write("Re: your order"),
        write("FWD: сделка"),
        write("RE[2]: x"),
        write("Отв: вопрос"),
    ],
    "subject_case": [write("НОВЫЕ СКИДКИ ДО 50%"), write("BUY NOW, PAY LATER!")],
    "subject_marks": [write("Скидки!!!"), write("New! Fresh! Bread!")],
    "subject_emoji": [write("🔥🔥🔥 Sale"), write("🎁 Gifts 🎄 for ⭐ all")],
    "subject_length": [write("Мы испекли новый хлеб с семечками и мёдом, заходите попробовать")],
    "phrases": [
        write(body="Our bread is 100% guaranteed."),
        write(body="Dear friend, we have news. " + PROSE),
        write("Photos of your family"),
        write(body="Гарантия 100%, что вам понравится. " + PROSE),
        write("Поздравляем, вы выиграли хлеб"),
        write(body="Заработок без вложений уже сегодня. " + PROSE),
    ],
    "prose": [picture("Order now."), picture(""), picture("https://shop.ru/" + "x" * 300)],
    "text_part": [write(text="Open this email in a browser."), write(text="")],
    "size": [write(findings=frozenset({"check_clipped"}))],
    "pictures_weight": [picture(PROSE, picture_bytes=3_000_000)],
    "picture_texts": [picture(PROSE, findings=frozenset({"check_alt"}))],
    "link_texts": [
        link("https://evil.example.net/a", "https://shop.ru/a"),
        link("https://tracker.com/x", "www.shop.ru"),
        link("https://tracker.com/x", "shop.ru/news"),
        link("https://shop.co.uk/x", "https://bank.co.uk/"),
    ],
    "counted_link_texts": [
        write(links=(Link("https://shop.ru/a", "https://shop.ru/a"),), click_host="mail.example")
    ],
    "shorteners": [link("https://bit.ly/3abc"), link("http://clck.ru/Ab"), link("https://VK.CC/x")],
    "ip_addresses": [link("http://93.184.216.34/sale"), link("https://[2001:db8::1]/")],
    "encryption": [link("http://shop.ru/sale"), link("HTTP://shop.ru")],
    "sites": [write(links=tuple(Link(f"https://shop{n}.ru/", "x") for n in range(11)))],
    "postal_address": [
        write(),
        write(body=PROSE + " Tickets from 1 500 to 3 000 roubles."),
        write(brand_address="Clay Shop, Riga"),
    ],
}

SILENT: dict[str, list[Letter]] = {
    "subject_is_set": [write("x")],
    "subject_is_new": [
        write("Results: our year"),
        write("Reform: what changes"),
        write("Fw 2026 collection"),
    ],
    "subject_case": [
        write("ИКЕА и ООО РЖД: что нового"),
        write("SALE"),
        write("WWF, UNESCO and IUCN: results"),
        write("10 % OFF"),
        write("日本語のお知らせです、こんにちは"),
    ],
    "subject_marks": [write("Скидки!"), write("Today! Only today!")],
    "subject_emoji": [write("👨‍👩‍👧‍👦 For families 🇷🇺"), write("👍🏽 Thanks ❤️"), write("© 2026 — №1 ™")],
    "subject_length": [write("x" * 50), write("Новое в мастерской за июнь  ")],
    "phrases": [
        write("Buyers' guide", body="Free bread for everyone! Бесплатная доставка, скидки, акция. " + PROSE),
        write("Для всей семьи", body="Я гарантирую, что 100 человек придут. Фильм «Казино Рояль». " + PROSE),
        write(body="My dear friend Anna baked it. No prescription. Urgent repairs. " + PROSE),
    ],
    "prose": [picture(PROSE), picture("Мы испекли новый хлеб с рожью, семечками и мёдом. " * 5)],
    "text_part": [write(), write(body="Short", text=""), picture(PROSE)],
    "size": [write()],
    "pictures_weight": [picture(PROSE, picture_bytes=500_000)],
    "picture_texts": [picture(PROSE)],
    "link_texts": [
        link("https://shop.ru/a?utm=1", "shop.ru"),
        link("https://www.shop.ru/", "https://news.shop.ru"),
        link("https://learn.microsoft.com/", "ASP.NET"),
        link("https://nodejs.org/", "Node.js"),
        link("https://xn--e1afmkfd.xn--p1ai/", "пример.рф"),
        link("https://shop.ru/price.pdf", "price.pdf"),
        link("https://shop.ru/", "Read on… и т.д."),
        link("https://shop.ru/", "Version 2.5"),
    ],
    "counted_link_texts": [
        write(links=(Link("https://shop.ru/a", "Order now"),), click_host="mail.example"),
    ],
    "shorteners": [link("https://youtu.be/x"), link("https://t.me/shop"), link("https://habit.ly/x")],
    "ip_addresses": [link("https://1.shop.ru/"), link("https://24.ru/"), link("https://not valid")],
    "encryption": [link("https://shop.ru/?next=http://other.ru")],
    "sites": [write(links=tuple(Link(f"https://{n}.shop.ru/", "x") for n in range(40)))],
    "unsubscribing": [write()],
    "postal_address": [
        write(body=PROSE + "Москва, ул. Лесная, 5"),
        write(body=PROSE + "ООО «Хлеб», ИНН 7701234567"),
        write(body=PROSE + "12 Baker Street, London"),
        write(body=PROSE + "Brīvības iela 1, LV-1010, Riga", brand_address="Brīvības iela 1, LV-1010\nRiga"),
    ],
}
