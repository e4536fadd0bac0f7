import pytest
from flask import Flask
from sqlalchemy.orm import Session

from skymailing.models import User
from tests.support.sequence_factories import Sequences


@pytest.fixture
def sequences(app: Flask, session: Session, user: User) -> Sequences:
    return Sequences(app, session, user)
