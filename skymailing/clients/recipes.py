"""Define how to recognize the exports of other programs, and which fields their columns contain."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from skymailing.clients.fields import Field, simplify
from skymailing.clients.statuses import Standing

SKIP = Field.SKIP


def map_all(field_: str, headers: str) -> dict[str, str]:
    """Map each of the headers, which are separated by spaces, to the same field."""
    return dict.fromkeys(headers.split(), field_)


@dataclass(frozen=True, slots=True)
class Recipe:
    """The format of a program's export.

    A file has this format if it has all headers in `all_of`, and one of those in `any_of` if there are any.
    Headers are mapped to fields by `fields`, then by `patterns`, which match a whole header. All headers are
    reduced to lowercase letters and digits.
    """

    name: str
    all_of: frozenset[str]
    any_of: frozenset[str]
    fields: dict[str, str]
    patterns: tuple[tuple[str, str], ...] = ()
    standing: Standing = field(default=Standing.MAILABLE)  # applies to all rows

    def matches(self, headers: set[str]) -> bool:
        return self.all_of <= headers and bool(not self.any_of or self.any_of & headers)

    def find_field(self, header: str) -> str | None:
        """Return the field that a column contains; None if the recipe does not have its header."""
        if header in self.fields:
            return self.fields[header]
        return next((name for pattern, name in self.patterns if re.fullmatch(pattern, header)), None)


def make_recipe(name: str, all_of: str, any_of: str, fields: dict[str, str], **values: object) -> Recipe:
    """Return a recipe; headers are separated by spaces."""
    return Recipe(name, frozenset(all_of.split()), frozenset(any_of.split()), fields, **values)  # type: ignore[arg-type]


NAMES = {
    "firstname": Field.FIRST_NAME,
    "middlename": Field.MIDDLE_NAME,
    "lastname": Field.LAST_NAME,
    "notes": Field.COMMENT,
}
MAILCHIMP = {
    **NAMES,
    "emailaddress": Field.EMAIL,
    "tags": Field.TAGS,
    "timezone": Field.TIMEZONE,
    **map_all(Field.CONSENT_TIME, "optintime confirmtime"),
    **map_all(Field.CONSENT_IP, "optinip confirmip"),
    **map_all(
        SKIP,
        "memberrating latitude longitude gmtoff dstoff cc region lastchanged leid euid unsubtime "
        "unsubcampaigntitle unsubcampaignid unsubreason unsubreasonother cleantime cleancampaigntitle "
        "cleancampaignid",
    ),
}
OUTLOOK_RUSSIAN = {
    "имя": Field.FIRST_NAME,
    "отчество": Field.MIDDLE_NAME,
    "фамилия": Field.LAST_NAME,
    "адресэлпочты": Field.EMAIL,
    "заметки": Field.COMMENT,
    "категории": Field.TAGS,
    **map_all(SKIP, "важность частное пометка инициалы"),
}
GOOGLE = {
    **NAMES,
    "name": Field.FULL_NAME,
    "givenname": Field.FIRST_NAME,
    "additionalname": Field.MIDDLE_NAME,
    "familyname": Field.LAST_NAME,
    "labels": Field.TAGS,
    "groupmembership": Field.TAGS,
    "email1value": Field.EMAIL,
    "phone1value": "attribute:phone",
    "organizationname": "attribute:company",
    "organization1name": "attribute:company",
    **map_all(SKIP, "fileas photo initials shortname directoryserver sensitivity priority"),
}
OUTLOOK = {
    **NAMES,
    "emailaddress": Field.EMAIL,
    "categories": Field.TAGS,
    **map_all(
        SKIP,
        "emailtype emaildisplayname priority private sensitivity initials givenyomi surnameyomi companyyomi",
    ),
}
# The header of the first column when the files of a ZIP archive have been joined.
STATUS_COLUMN = "file_status"
RECIPES = (
    make_recipe("Mailchimp", "filestatus emailaddress", "", MAILCHIMP | {"filestatus": Field.STATUS}),
    make_recipe("Mailchimp", "emailaddress", "unsubtime", MAILCHIMP, standing=Standing.UNSUBSCRIBED),
    make_recipe("Mailchimp", "emailaddress", "cleantime", MAILCHIMP, standing=Standing.BOUNCED),
    make_recipe("Mailchimp", "emailaddress", "memberrating optintime leid euid", MAILCHIMP),
    make_recipe(
        "listmonk",
        "uuid email name attributes status",
        "",
        {
            "email": Field.EMAIL,
            "name": Field.FULL_NAME,
            "attributes": Field.JSON,
            "status": Field.STATUS,
            **map_all(SKIP, "uuid createdat updatedat"),
        },
    ),
    make_recipe(
        "Keila",
        "email firstname lastname data",
        "",
        {**NAMES, "email": Field.EMAIL, "data": Field.JSON, "status": Field.STATUS},
    ),
    make_recipe(
        "Brevo",
        "email",
        "contactid doubleoptin emailblacklisted emailblocklisted smsblacklisted",
        {
            **NAMES,
            "email": Field.EMAIL,
            "contacttimezone": Field.TIMEZONE,
            **map_all(SKIP, "contactid addedtime modifiedtime smsblacklisted"),
        },
    ),
    make_recipe(
        "Google",
        "email1value",
        "",
        GOOGLE,
        patterns=(
            (r"email\d+value", Field.OTHER_EMAIL),
            (
                r"(email|phone|address|organization|website|event|relation|customfield|im)\d+(type|label)",
                SKIP,
            ),
            (r"phonetic.*|.*yomi.*", SKIP),
        ),
    ),
    make_recipe(
        "Outlook",
        "emailaddress firstname lastname",
        "email2address emaildisplayname emailtype",
        OUTLOOK,
        patterns=((r"email\daddress", Field.OTHER_EMAIL), (r"email\d(type|displayname)", SKIP)),
    ),
    make_recipe(
        "Outlook",
        "адресэлпочты имя",
        "типэлпочты краткоеимяэлпочты адрес2элпочты",
        OUTLOOK_RUSSIAN,
        patterns=((r"адрес\dэлпочты", Field.OTHER_EMAIL), (r"(тип|краткое)\d?(имя)?элпочты", SKIP)),
    ),
    make_recipe(
        "Thunderbird",
        "primaryemail",
        "secondaryemail displayname",
        {
            **NAMES,
            "displayname": Field.FULL_NAME,
            "primaryemail": Field.EMAIL,
            "secondaryemail": Field.OTHER_EMAIL,
        },
    ),
    make_recipe(
        "Unisender",
        "email emailstatus",
        "",
        {
            "email": Field.EMAIL,
            "name": Field.FULL_NAME,
            "emailstatus": Field.STATUS,
            "emailavailability": Field.STATUS,
            "emailconfirmtime": Field.CONSENT_TIME,
            "tags": Field.TAGS,
            **map_all(SKIP, "emailaddtime emaillistids emailsubscribetimes emailunsubscribedlistids"),
        },
    ),
    make_recipe(
        "WordPress",
        "useremail",
        "userlogin displayname usernicename",
        {
            **NAMES,
            "useremail": Field.EMAIL,
            "displayname": Field.FULL_NAME,
            **map_all(SKIP, "id userpass usernicename useractivationkey userstatus"),
        },
    ),
)
# The first columns of our own export. OWN_FIELDS, which exports of earlier versions lack, may follow. All
# other columns are attributes.
OWN_EXPORT = ("email", "full_name", "comment")
OWN_FIELDS = (Field.TAGS, Field.TIMEZONE)
# Prefixes of Mailchimp's file names, which alone show the status of the clients in these files.
FILE_STANDINGS = {
    "subscribed_members_export": Standing.MAILABLE,
    "unsubscribed_members_export": Standing.UNSUBSCRIBED,
    "cleaned_members_export": Standing.BOUNCED,
    "nonsubscribed_members_export": Standing.SKIPPED,
}


def find_recipe(headers: Sequence[str]) -> Recipe | None:
    """Return the first recipe that matches the headers, or None."""
    simplified = {simplify(header) for header in headers}
    return next((recipe for recipe in RECIPES if recipe.matches(simplified)), None)


def is_own_export(headers: Sequence[str]) -> bool:
    """Return whether a file with these headers is our own export."""
    return tuple(headers[: len(OWN_EXPORT)]) == OWN_EXPORT


def find_file_standing(filename: str) -> Standing | None:
    """Return the standing that a file's name implies for all its rows; None if it implies none."""
    name = re.split(r"[/\\]", filename.lower())[-1]
    return next((standing for prefix, standing in FILE_STANDINGS.items() if name.startswith(prefix)), None)
