"""Create two hundred fictional clients, whose addresses use domains reserved for examples (RFC 2606)."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import islice
from random import Random

from skymailing.extensions import db
from skymailing.models import Client, ClientImport, ImportState, Origin, SignupForm, User

COUNT = 200
SIGNED_UP = 10  # of the newest, through a form; the others were imported
DAYS_BETWEEN = 2.1  # two sign-ups
# The imported files: how many days ago, and with how many clients.
FILES = (("clients.xlsx", 345, 120), ("fair.csv", 150, 45), ("autumn-course.xlsx", 75, 25))
HEADERS = ["email", "name", "comment", "city", "language", "bonus"]
DOMAINS = ("example.com", "example.org", "example.net")
CITIES_RU = ("Москва", "Санкт-Петербург", "Казань", "Екатеринбург", "Новосибирск", "Тверь", "Сочи", "Псков")
CITIES_EN = ("London", "Bristol", "Toronto", "Dublin", "Austin", "Wellington", "Leeds", "Portland")
COMMENTS = ("", "", "", "", "звонить после обеда", "met at the fair", "постоянный покупатель", "wholesale")

# First names with their Latin spelling, for addresses.
WOMEN_RU = {
    "Анна": "anna", "Мария": "maria", "Елена": "elena", "Ольга": "olga", "Татьяна": "tatiana",
    "Ирина": "irina", "Наталья": "natalia", "Светлана": "svetlana", "Алёна": "alena", "Дарья": "daria",
}  # fmt: skip
MEN_RU = {
    "Иван": "ivan", "Пётр": "petr", "Сергей": "sergey", "Дмитрий": "dmitry", "Алексей": "alexey",
    "Николай": "nikolay", "Юрий": "yury", "Фёдор": "fedor", "Михаил": "mikhail", "Артём": "artem",
}  # fmt: skip
# Men's surnames; women's end in an additional «а».
SURNAMES_RU = {
    "Иванов": "ivanov", "Смирнов": "smirnov", "Кузнецов": "kuznetsov", "Попов": "popov",
    "Соколов": "sokolov", "Лебедев": "lebedev", "Новиков": "novikov", "Морозов": "morozov",
    "Волков": "volkov", "Зайцев": "zaytsev", "Киселёв": "kiselev", "Ершов": "ershov",
}  # fmt: skip
NAMES_EN = (
    "Alice", "Ben", "Charlotte", "Daniel", "Emma", "Finn", "Grace", "Henry", "Isla", "Jack",
    "Kate", "Liam", "Mia", "Noah", "Olivia", "Peter", "Ruth", "Sam", "Tessa", "Will",
)  # fmt: skip
SURNAMES_EN = (
    "Smith", "O'Brien", "Taylor", "Walker", "Hughes", "Clarke", "Baker", "Wright", "Green", "Hall",
    "Young", "King",
)  # fmt: skip


def make_clients(owner: User, random: Random) -> list[Client]:
    """Return the clients, three in five of them Russian, without adding them to a session."""
    clients = []
    for number in range(1, COUNT + 1):
        is_russian = random.random() < 0.6
        name, local = _choose_russian_name(random) if is_russian else _choose_english_name(random)
        email = f"{local}{number}@{random.choice(DOMAINS)}"
        clients.append(
            Client(
                owner=owner,
                email=email,
                email_key=email,
                full_name=name,
                comment=random.choice(COMMENTS),
                origin=Origin.FORM if number > COUNT - SIGNED_UP else Origin.IMPORT,
                attributes={
                    "city": random.choice(CITIES_RU if is_russian else CITIES_EN),
                    "language": "ru" if is_russian else "en",
                    "bonus": str(random.randrange(0, 1500, 50)),
                },
            )
        )
    return clients


def add_origins(clients: Sequence[Client], form: SignupForm, now: datetime) -> None:
    """Record the origins of clients: the newest signed up through the form, the others were imported."""
    remaining = iter(clients)
    for filename, days, count in FILES:
        at = now - timedelta(days=days)
        # Its last change is that of the row, today: otherwise, retention would remove it at once.
        file = ClientImport(owner_id=form.owner_id, filename=filename, headers=HEADERS, created_at=at)
        file.state, file.rows_done, file.rows_total, file.created = ImportState.FINISHED, count, count, count
        db.session.add(file)
        db.session.flush()
        for client in islice(remaining, count):
            client.origin_id, client.created_at = file.id, at + timedelta(seconds=20)
    for number, client in enumerate(remaining):
        client.origin_id = form.id
        client.created_at = now - timedelta(days=(SIGNED_UP - number) * DAYS_BETWEEN)
    db.session.flush()


def _choose_russian_name(random: Random) -> tuple[str, str]:
    surname = random.choice(list(SURNAMES_RU))
    if random.random() < 0.5:
        first = random.choice(list(WOMEN_RU))
        return f"{first} {surname}а", f"{WOMEN_RU[first]}.{SURNAMES_RU[surname]}a"
    first = random.choice(list(MEN_RU))
    return f"{first} {surname}", f"{MEN_RU[first]}.{SURNAMES_RU[surname]}"


def _choose_english_name(random: Random) -> tuple[str, str]:
    first, surname = random.choice(NAMES_EN), random.choice(SURNAMES_EN)
    return f"{first} {surname}", f"{first}.{surname}".lower().replace("'", "")
