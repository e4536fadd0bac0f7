"""Provide an owner who publishes letters."""

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.conftest import SignIn
from tests.support.factories import UserFactory


@pytest.fixture
def shop(session: Session) -> User:
    user: User = UserFactory.create(name="Tea Shop")
    return user


@pytest.fixture
def owner(shop: User, sign_in: SignIn) -> FlaskClient:
    """Return a browser in which the shop's owner is signed in."""
    return sign_in(shop)
