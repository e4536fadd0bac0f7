"""Create the pages that an owner's clients and visitors see without an account, in each of their states.

The pages are in Russian, like the demo data.
"""

from datetime import timedelta

from skymailing.archive.services import EntryValues, publish, read_source
from skymailing.clients.opt_outs import opt_out
from skymailing.clock import utcnow
from skymailing.extensions import db
from skymailing.models import Archive, Brand, OpenTracking, Run, Signup, SignupForm, Topic, User
from skymailing.outbox.signup_letters import make_signup_token
from skymailing.tokens import unsubscribe_token
from tests.archive.letters import create_sent_run, send_letter
from tests.e2e.site import Site
from tests.support.archives import link_to
from tests.support.factories import MailingFactory, UserFactory
from tests.support.signup_factories import SignupFormFactory, TopicFactory

BODY = """# Весенние чаи

Здравствуйте, {{ name | default: "друзья" }}! Новый урожай уже [в магазине](https://tea.example/spring).

[Отписаться]({{ unsubscribe_url }}) [Выбрать темы]({{ preferences_url }})
"""
FIELDS = [
    {"key": "full_name", "label": "Имя", "is_required": False},
    {"key": "attribute.birthday", "label": "День рождения", "is_required": True},
]
CONSENT = "Я соглашаюсь получать письма чайной лавки."
DELETED_OWNER = 10**9
UNKNOWN_TOKEN = "no-such-token"


def add_owner(site: Site) -> User:
    with site.open_session() as session:
        owner: User = UserFactory.create(
            name="Чайная лавка", locale="ru", attribute_types={"birthday": "date"}
        )
        session.add(Brand(owner_id=owner.id, color="#8a5a12", website="https://tea.example/"))
    return owner


def form_paths(site: Site, owner: User) -> list[str]:
    """Return the paths of an open form, a closed one, and confirmations."""
    with site.open_session() as session:
        own = session.get_one(User, owner.id)
        texts = {"language": "ru", "fields": FIELDS, "consent_text": CONSENT, "asks_tracking": True}
        form: SignupForm = SignupFormFactory.create(owner=own, **texts)
        closed = SignupFormFactory.create(owner=own, is_open=False, **texts)
        now = utcnow()
        times = {"requested_at": now, "expires_at": now + timedelta(days=7)}
        signups = [
            Signup(owner_id=own.id, form_id=form.id, email=email, email_key=email, confirmed_at=at, **times)
            for email, at in (("anna@tea.example", None), ("boris@tea.example", now))
        ]
        session.add_all(signups)
        session.flush()
        tokens = [*map(make_signup_token, signups), UNKNOWN_TOKEN]
    confirmations = [f"/f/{form.uuid}/confirm/{token}" for token in tokens]
    return [f"/f/{form.uuid}", f"/f/{closed.uuid}", *confirmations]


def letter_link_paths(site: Site, owner: User) -> list[str]:
    """Return the paths of the pages to unsubscribe and to choose topics, for people in each state."""
    with site.open_session() as session:
        own = session.get_one(User, owner.id)
        about = "Новинки, скидки и рецепты, не чаще двух раз в месяц"
        topic: Topic = TopicFactory.create(owner=own, name="Новости", description=about)
        TopicFactory.create(owner=own, name="Дегустации")
        MailingFactory.create(owner=own, track_clicks=True, track_opens=OpenTracking.PERSON)
    with site.app.app_context():
        opt_out(owner.id, "left@tea.example", topic.id, utcnow())
        opt_out(owner.id, "stopped@tea.example", None, utcnow())
        db.session.commit()
        tokens = [
            unsubscribe_token(owner.id, "anna@tea.example"),
            unsubscribe_token(owner.id, "anna@tea.example", topic.id),
            unsubscribe_token(owner.id, "left@tea.example", topic.id),
            unsubscribe_token(owner.id, "stopped@tea.example"),
            unsubscribe_token(DELETED_OWNER, "anna@tea.example"),
            UNKNOWN_TOKEN,
        ]
    return [f"/{page}/{token}" for token in tokens for page in "up"]


def publish_letter(site: Site, owner: User) -> tuple[str, str]:
    """Return the paths of an archive and of a letter in it."""
    with site.open_session() as session:
        run = create_sent_run(session.get_one(User, owner.id), BODY, subject="Весенние чаи")
    with site.app.app_context():
        published = db.session.get_one(Run, run.id)
        entry = publish(published, read_source(published).render(), EntryValues())
        db.session.commit()
        archive = f"/archive/{db.session.get_one(Archive, owner.id).slug}/"
        return archive, archive + entry.slug


def public_paths(site: Site) -> list[str]:
    """Return the path of each public page of an owner, except letters."""
    owner = add_owner(site)
    archive, _letter = publish_letter(site, owner)
    return [
        *form_paths(site, owner),
        *letter_link_paths(site, owner),
        archive,
        f"/v/{UNKNOWN_TOKEN}",
    ]


def letter_paths(site: Site) -> list[str]:
    """Return the paths of a published letter and of one client's letter."""
    owner = add_owner(site)
    _archive, letter = publish_letter(site, owner)
    with site.open_session() as session:
        delivery = send_letter(session.get_one(User, owner.id), BODY, client={"full_name": "Анна"})
    return [letter, link_to(site.app, delivery)]
