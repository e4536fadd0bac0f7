"""The types of clients' attributes: inferred by imports, and changed by the owner."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select

from skymailing.clients.rows import ClientRow
from skymailing.delivery.rendering.values import DEFAULT_FORMATS, NO, YES
from skymailing.extensions import db
from skymailing.models import AttributeType, User
from skymailing.quotas.locking import lock_owner

ORDERS = ("", "dmy", "mdy")
MAX_EXAMINED = 500  # values per attribute
MAX_TYPES = 500
# A column still contains numbers if a small share of its values, such as "n/a", are not numbers.
REQUIRED_SHARE = 0.95


def infer_type(values: Iterable[str]) -> AttributeType:
    """Return the type of an attribute's values."""
    texts = [text for value in values if (text := value.strip())][:MAX_EXAMINED]
    if not texts:
        return AttributeType.TEXT
    words = {text.lower() for text in texts}
    # 0 and 1 mean no and yes if a column contains both; a column with only 1s contains numbers.
    if words <= YES | NO and ((words & YES and words & NO) or not any(word.isdigit() for word in words)):
        return AttributeType.YES_NO
    for type, is_of_type in ((AttributeType.DATE, is_date), (AttributeType.NUMBER, is_number)):
        if sum(map(is_of_type, texts)) >= REQUIRED_SHARE * len(texts):
            return type
    return AttributeType.TEXT


def is_date(text: str) -> bool:
    return DEFAULT_FORMATS.parse_date(text) is not None


def is_number(text: str) -> bool:
    """Return whether a text is an amount; postcodes, phones and IDs begin with 0 or +, or are long."""
    digits = text.lstrip("-−").replace(" ", "")
    if text.startswith("+") or (len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()):
        return False
    return (not digits.isdigit() or len(digits) <= 9) and DEFAULT_FORMATS.parse_number(text) is not None


def learn_types(owner_id: int, rows: Sequence[ClientRow]) -> None:
    """Infer and store the types of attributes that are new in this batch of an import."""
    names = {name for row in rows for name in row.attributes}
    types: Mapping[str, str] = (
        db.session.scalar(select(User.attribute_types).where(User.id == owner_id)) or {}
    )
    if not (new := names - types.keys()):
        return
    inferred = {name: infer_type(row.attributes.get(name, "") for row in rows) for name in new}
    set_types(owner_id, inferred, keeps_known=True)


def set_types(owner_id: int, types: Mapping[str, AttributeType], *, keeps_known: bool = False) -> None:
    """Store types; with `keeps_known`, only for attributes that have none yet."""
    lock_owner(owner_id)
    user = db.session.get(User, owner_id, populate_existing=True)
    if user is None:
        return
    written = {name: type.value for name, type in types.items()}
    known = user.attribute_types
    merged = written | known if keeps_known else known | written
    user.attribute_types = dict(list(merged.items())[:MAX_TYPES])
