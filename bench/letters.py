"""Define the letter that all benchmarks send: about 4 KB of Cyrillic text and HTML with personal values."""

PARAGRAPH = "Мы рады сообщить, что **осенняя распродажа** уже началась, и цены ниже обычных.\n\n"
SUBJECT = "{{ name }}, новости октября"
CITY = "Казань"
BODY = (
    "Здравствуйте, {{ name }}!\n\n"
    + PARAGRAPH * 4
    + "Ждём вас в городе {{ client.city }}.\n\n[Отписаться]({{ unsubscribe_url }})\n"
)
