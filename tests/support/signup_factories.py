"""Create sign-up forms, topics, and people's choices of topics."""

from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory

from skymailing.clock import utcnow
from skymailing.models import Signup, SignupForm, Topic, TopicChoice
from skymailing.outbox.signup_letters import SIGNUP_LIFETIME
from tests.support.factories import ModelFactory, UserFactory


class SignupFormFactory(ModelFactory[SignupForm]):
    """An open form that asks for a name and a city."""

    class Meta:
        model = SignupForm

    owner = SubFactory(UserFactory)
    name = Sequence(lambda n: f"Форма {n}")
    language = "en"
    consent_text = "I agree to get news."
    fields = LazyFunction(
        lambda: [
            {"key": "full_name", "label": "Name", "is_required": False},
            {"key": "attribute.city", "label": "City", "is_required": False},
        ]
    )


class SignupFactory(ModelFactory[Signup]):
    """A request through `form` that has just been confirmed; with `confirmed_at=None`, it is still open."""

    class Meta:
        model = Signup

    form = SubFactory(SignupFormFactory)
    owner_id = LazyAttribute(lambda signup: signup.form.owner_id)
    email = Sequence(lambda n: f"person-{n}@mail.example")
    email_key = LazyAttribute(lambda signup: signup.email.lower())
    requested_at = LazyFunction(utcnow)
    confirmed_at = LazyFunction(utcnow)
    expires_at = LazyAttribute(lambda signup: signup.requested_at + SIGNUP_LIFETIME)


class TopicFactory(ModelFactory[Topic]):
    """A public topic, whose mailings all clients get unless they have unsubscribed from it."""

    class Meta:
        model = Topic
        exclude = ("owner",)

    owner = SubFactory(UserFactory)
    owner_id = LazyAttribute(lambda topic: topic.owner.id)
    name = "News"
    name_key = LazyAttribute(lambda topic: topic.name.lower())


class TopicChoiceFactory(ModelFactory[TopicChoice]):
    """The choice of the person with `email_key` to unsubscribe from `topic`."""

    class Meta:
        model = TopicChoice
        exclude = ("topic",)

    topic = SubFactory(TopicFactory)
    topic_id = LazyAttribute(lambda choice: choice.topic.id)
    owner_id = LazyAttribute(lambda choice: choice.topic.owner_id)
    is_joined = False
