"""Define the fields that columns of a table can contain, and the usual headers of each field."""

import unicodedata
from enum import StrEnum


class Field(StrEnum):
    """The field that a column contains; stored with imports, and typed as `--map COLUMN=FIELD`."""

    EMAIL = "email"
    OTHER_EMAIL = "other_email"  # used if the first address is empty, otherwise kept as an attribute
    FULL_NAME = "full_name"
    FIRST_NAME = "first_name"
    MIDDLE_NAME = "middle_name"
    LAST_NAME = "last_name"
    COMMENT = "comment"
    TIMEZONE = "timezone"
    TAGS = "tags"
    STATUS = "status"  # words such as "active" or "unsubscribed"
    SUBSCRIBED = "subscribed"  # yes or no
    UNSUBSCRIBED = "unsubscribed"  # yes or no, or a time
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    CONSENT_TIME = "consent_time"
    CONSENT_IP = "consent_ip"
    JSON = "json"  # an object, each value of which becomes an attribute
    ATTRIBUTE = "attribute"  # or attribute:<key>
    SKIP = "skip"


NAME_FIELDS = (Field.FIRST_NAME, Field.MIDDLE_NAME, Field.LAST_NAME)
# Fields that any number of columns can have; all other fields occur at most once.
REPEATABLE = {
    *(Field.OTHER_EMAIL, Field.STATUS, Field.SUBSCRIBED, Field.UNSUBSCRIBED, Field.BOUNCED, Field.COMPLAINED),
    *(Field.CONSENT_TIME, Field.CONSENT_IP, Field.JSON, Field.TAGS, Field.ATTRIBUTE, Field.SKIP),
}

# The headers of fields, reduced to letters and digits, from the most to the least certain.
FIELD_NAMES: dict[Field, tuple[str, ...]] = {
    Field.EMAIL: (
        *(
            "email",
            "mail",
            "emailaddress",
            "mailaddress",
            "primaryemail",
            "useremail",
            "email1",
            "email1value",
        ),
        *("емейл", "имейл", "емайл", "мейл", "майл", "электроннаяпочта", "элпочта", "эпочта", "почта"),
        *("адресэлектроннойпочты", "адресэлпочты", "электронныйадрес", "адреспочты", "emailадрес"),
        *("адресemail", "почтовыйадрес", "адрес", "address"),
    ),
    Field.FULL_NAME: (
        *("fullname", "фио", "полноеимя", "имяифамилия", "фамилияиимя", "имяфамилия", "фамилияимя"),
        *("фамилияимяотчество", "displayname", "name", "имя", "contactname", "customername", "clientname"),
        *("имяклиента", "клиент", "client", "customer", "contact", "контакт"),
    ),
    Field.FIRST_NAME: ("firstname", "givenname", "fname", "forename", "vorname", "prénom", "prenom"),
    Field.MIDDLE_NAME: ("middlename", "additionalname", "отчество", "patronymic"),
    Field.LAST_NAME: ("lastname", "surname", "familyname", "lname", "фамилия", "nachname"),
    Field.COMMENT: (
        *("comment", "comments", "комментарий", "комментарии", "коммент", "примечание", "примечания"),
        *("note", "notes", "заметка", "заметки", "remark", "remarks"),
    ),
    Field.TIMEZONE: (
        *("timezone", "tz", "timezonename", "ianatimezone", "часовойпояс", "таймзона", "временнаязона"),
        *("часовойпоясклиента", "пояс"),
    ),
    Field.TAGS: ("tags", "tag", "теги", "тэги", "тег", "метки", "метка"),
}
# Headers that mean the full name if no column has the last name, and the first name otherwise.
FIRST_OR_FULL = {"имя", "name"}
# Headers of columns with opt-outs; if there are several, all apply.
OPT_OUT_NAMES: dict[str, Field] = {
    **dict.fromkeys(
        (
            *(
                "unsubscribed",
                "unsubscribe",
                "unsubscribedat",
                "unsubtime",
                "unsubscribetime",
                "isunsubscribed",
            ),
            *("optout", "optedout", "emailoptout", "hasoptedoutofemail", "donotemail", "donotmail"),
            *("blocklisted", "blacklisted", "emailblacklisted", "emailblocklisted", "blocked"),
            *("отписан", "отписался", "отписка", "датаотписки", "чёрныйсписок", "черныйсписок"),
        ),
        Field.UNSUBSCRIBED,
    ),
    **dict.fromkeys(
        ("bounced", "hardbounced", "bounce", "hardbounce", "cleaned", "cleantime"), Field.BOUNCED
    ),
    **dict.fromkeys(("complained", "complaint", "spamcomplaint", "жалоба"), Field.COMPLAINED),
    **dict.fromkeys(("subscribed", "issubscribed", "подписан"), Field.SUBSCRIBED),
}
# Headers of columns that contain statuses if every cell is a known status.
STATUS_NAMES = {
    *("status", "state", "статус", "состояние", "subscriptionstatus", "emailstatus", "subscriberstatus"),
    *(
        "reason",
        "memberstatus",
        "contactstatus",
        "статусподписки",
        "статусадреса",
        "emailavailability",
        "statusemail",
    ),
}


def simplify(header: str) -> str:
    """Return the header's letters and digits in lowercase."""
    return "".join(char for char in unicodedata.normalize("NFKC", header).lower() if char.isalnum())
