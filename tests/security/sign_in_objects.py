"""Create a session, a passkey and a connected account, for the tests of permissions."""

from datetime import timedelta
from typing import Any

from skymailing.clock import utcnow
from skymailing.models import Passkey, User, UserIdentity, UserSession
from tests.security.object_factories import add


def make_session(user: User) -> Any:
    user_session = UserSession(
        user_id=user.id, key=f"session-{user.id}", expires_at=utcnow() + timedelta(days=1)
    )
    return add(user, user_session)


def make_passkey(user: User) -> Any:
    values = {"credential_id": b"credential %d" % user.id, "public_key": b"key", "name": "Laptop"}
    return add(user, Passkey(user_id=user.id, sign_count=0, **values))


def make_identity(user: User) -> Any:
    values = {"issuer": "https://id.example", "subject": str(user.id), "email": user.email}
    return add(user, UserIdentity(user_id=user.id, **values))
