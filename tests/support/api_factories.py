"""Factories of API keys and of responses to repeatable requests."""

from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory

from skymailing.api.keys import SHOWN, digest_of
from skymailing.clock import utcnow
from skymailing.models import ApiKey, IdempotentRequest, KeyKind
from tests.support.factories import ModelFactory, UserFactory


class ApiKeyFactory(ModelFactory[ApiKey]):
    """An API key with all scopes; requests use `secret`, if it is given."""

    class Meta:
        model = ApiKey
        exclude = ("secret",)

    secret = Sequence(lambda n: f"sky_live_{n:027d}")
    owner = SubFactory(UserFactory)
    name = "Shop"
    kind = KeyKind.LIVE
    prefix = LazyAttribute(lambda key: key.secret[:SHOWN])
    digest = LazyAttribute(lambda key: digest_of(key.secret))
    created_at = LazyFunction(utcnow)


class IdempotentRequestFactory(ModelFactory[IdempotentRequest]):
    class Meta:
        model = IdempotentRequest

    owner_id = LazyFunction(lambda: UserFactory.create().id)
    key = Sequence(lambda n: f"request-{n}")
    request_hash = "0" * 64
    created_at = LazyFunction(utcnow)
    status = 201
    body = b"{}"
