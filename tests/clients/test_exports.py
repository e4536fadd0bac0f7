"""Test exporting clients and importing the exported file."""

import io
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from skymailing.clients import exports, imports, tasks
from skymailing.clients.services import ClientValues, DuplicateClient, create_client
from skymailing.clients.tags import TagChanges, clean_tag, find_tags
from skymailing.email_addresses import address_key
from skymailing.extensions import db
from skymailing.models import Client, Tag, User
from skymailing.web.csv import stream_csv
from tests.support.factories import ClientFactory, UserFactory

TEXT = st.text(max_size=30) | st.text(st.sampled_from("'=+-@\t\r\n\",; я"), max_size=8)
# Exports turn an attribute named "tags" into tags.
NAMES = st.text(max_size=20).filter(lambda name: name.strip().casefold() != "tags") | st.sampled_from(
    ["city", "Город", "name", "имя", "email", "почта", "for", "2024"]
)
CLIENTS = st.lists(
    st.builds(
        ClientValues,
        email=st.sampled_from(["a@x.com", "=B@x.com", "+c@x.com", "'+d@x.com", "e'@пример.рф", "f@x.com"]),
        full_name=TEXT,
        comment=TEXT,
        attributes=st.lists(st.tuples(NAMES, TEXT), max_size=4),
        tags=st.lists(
            st.one_of(
                st.sampled_from(["vip", "VIP", "* starred", '"a"', '"', '0"', "a|b", "x; y", "=1", "'q"]),
                TEXT,
            )
            .map(clean_tag)
            .filter(bool),
            max_size=4,
        ).map(TagChanges),
    ),
    max_size=4,
    unique_by=lambda values: address_key(values.email),
)


def read_clients(owner_id: int) -> list[tuple[Any, ...]]:
    statement = select(Client.id, Client.email, Client.full_name, Client.comment, Client.attributes)
    rows = db.session.execute(statement.where(Client.owner_id == owner_id).order_by(Client.email_key)).all()
    tags = find_tags(db.session.scalars(select(Client.id)).all())
    return [(*row[1:], tags.get(row.id, [])) for row in rows]


@settings(max_examples=60)
@given(clients=CLIENTS)
def test_importing_an_export_restores_the_same_clients(
    app: Flask, session: Session, user: User, clients: list[ClientValues]
) -> None:
    with app.app_context():
        db.session.execute(delete(Client))
        db.session.execute(delete(Tag))
        for values in clients:
            create_client(user.id, values)
        before = read_clients(user.id)
        db.session.commit()
        content = "".join(stream_csv(exports.export_rows(user.id))).encode()
        db.session.execute(delete(Client))
        db.session.commit()
        import_ = imports.create_import(user.id, "clients.csv", imports.inspect_table(io.BytesIO(content)))
        import_id = import_.id
        db.session.commit()
        tasks.run_import_slice(import_id, io.BytesIO(content))
        assert read_clients(user.id) == before
        db.session.rollback()


@pytest.mark.parametrize("count", [0, 1, 2001])
def test_every_client_is_exported_once(app: Flask, session: Session, user: User, count: int) -> None:
    rows = [
        {
            "owner_id": user.id,
            "email": f"c{n}@x.com",
            "email_key": f"c{n}@x.com",
            "full_name": "",
            "comment": "",
        }
        for n in range(count)
    ]
    if rows:
        session.execute(insert(Client), [row | {"attributes": {}} for row in rows])
    with app.app_context():
        exported = list(exports.export_rows(user.id))
    assert exported[0] == ["email", "full_name", "comment", "tags", "timezone"]
    assert len({row[0] for row in exported[1:]}) == len(exported) - 1 == count


def test_the_download_is_safe_to_open_in_a_spreadsheet(browser: FlaskClient, user: User) -> None:
    ClientFactory.create(
        owner=user, email="a@x.com", full_name="=cmd()", comment="", attributes={"город": "Омск"}
    )
    ClientFactory.create(owner=UserFactory.create(), email="secret@x.com")
    response = browser.get("/clients/export")
    assert response.data.decode("utf-8") == (
        '\ufeff"email","full_name","comment","tags","timezone","город"\r\n"a@x.com","\'=cmd()","","","","Омск"\r\n'
    )
    assert response.headers["Content-Disposition"] == 'attachment; filename="clients.csv"'


def test_a_duplicate_address_is_rejected(app: Flask, session: Session, user: User) -> None:
    with app.app_context():
        create_client(user.id, ClientValues("anna@x.com"))
        with pytest.raises(DuplicateClient):
            create_client(user.id, ClientValues("ANNA@X.com"))
        db.session.rollback()
