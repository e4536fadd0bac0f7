"""Define how to recognize the exports of other services and programs, and what their columns mean."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from skymailing.clients.fields import Field, simplify
from skymailing.clients.statuses import Standing

SKIP = Field.SKIP


def each(field_: str, headers: str) -> dict[str, str]:
    """Return a field for each of the headers, which are separated by spaces."""
    return dict.fromkeys(headers.split(), field_)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One program's export. Headers are reduced to letters and digits; `patterns` match many of them."""

    name: str
    all_of: frozenset[str]
    any_of: frozenset[str]
    fields: dict[str, str]
    patterns: tuple[tuple[str, str], ...] = ()
    standing: Standing = field(default=Standing.MAILABLE)  # of all rows of the file

    def fits(self, headers: set[str]) -> bool:
        return self.all_of <= headers and bool(not self.any_of or self.any_of & headers)

    def find_field(self, header: str) -> str | None:
        """Return the field of a header; None if the recipe does not know it."""
        if header in self.fields:
            return self.fields[header]
        return next((name for pattern, name in self.patterns if re.fullmatch(pattern, header)), None)


def recipe(name: str, all_of: str, any_of: str, fields: dict[str, str], **values: object) -> Recipe:
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
    **each(Field.CONSENT_TIME, "optintime confirmtime"),
    **each(Field.CONSENT_IP, "optinip confirmip"),
    **each(
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
    **each(SKIP, "важность частное пометка инициалы"),
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
    **each(SKIP, "fileas photo initials shortname directoryserver sensitivity priority"),
}
OUTLOOK = {
    **NAMES,
    "emailaddress": Field.EMAIL,
    "categories": Field.TAGS,
    **each(
        SKIP,
        "emailtype emaildisplayname priority private sensitivity initials givenyomi surnameyomi companyyomi",
    ),
}
# The first column of the joined files of a ZIP archive.
STATUS_COLUMN = "file_status"
RECIPES = (
    recipe("Mailchimp", "filestatus emailaddress", "", MAILCHIMP | {"filestatus": Field.STATUS}),
    recipe("Mailchimp", "emailaddress", "unsubtime", MAILCHIMP, standing=Standing.UNSUBSCRIBED),
    recipe("Mailchimp", "emailaddress", "cleantime", MAILCHIMP, standing=Standing.BOUNCED),
    recipe("Mailchimp", "emailaddress", "memberrating optintime leid euid", MAILCHIMP),
    recipe(
        "listmonk",
        "uuid email name attributes status",
        "",
        {
            "email": Field.EMAIL,
            "name": Field.FULL_NAME,
            "attributes": Field.JSON,
            "status": Field.STATUS,
            **each(SKIP, "uuid createdat updatedat"),
        },
    ),
    recipe(
        "Keila",
        "email firstname lastname data",
        "",
        {**NAMES, "email": Field.EMAIL, "data": Field.JSON, "status": Field.STATUS},
    ),
    recipe(
        "Brevo",
        "email",
        "contactid doubleoptin emailblacklisted emailblocklisted smsblacklisted",
        {
            **NAMES,
            "email": Field.EMAIL,
            "contacttimezone": Field.TIMEZONE,
            **each(SKIP, "contactid addedtime modifiedtime smsblacklisted"),
        },
    ),
    recipe(
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
    recipe(
        "Outlook",
        "emailaddress firstname lastname",
        "email2address emaildisplayname emailtype",
        OUTLOOK,
        patterns=((r"email\daddress", Field.OTHER_EMAIL), (r"email\d(type|displayname)", SKIP)),
    ),
    recipe(
        "Outlook",
        "адресэлпочты имя",
        "типэлпочты краткоеимяэлпочты адрес2элпочты",
        OUTLOOK_RUSSIAN,
        patterns=((r"адрес\dэлпочты", Field.OTHER_EMAIL), (r"(тип|краткое)\d?(имя)?элпочты", SKIP)),
    ),
    recipe(
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
    recipe(
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
            **each(SKIP, "emailaddtime emaillistids emailsubscribetimes emailunsubscribedlistids"),
        },
    ),
    recipe(
        "WordPress",
        "useremail",
        "userlogin displayname usernicename",
        {
            **NAMES,
            "useremail": Field.EMAIL,
            "displayname": Field.FULL_NAME,
            **each(SKIP, "id userpass usernicename useractivationkey userstatus"),
        },
    ),
)
# The first columns of our own export; all its other columns are attributes, except for those that exports of
# earlier versions lack.
OWN_EXPORT = ("email", "full_name", "comment")
OWN_FIELDS = (Field.TAGS, Field.TIMEZONE)
# Mailchimp's file names: only they show what kind of rows the files contain.
FILE_STANDINGS = {
    "subscribed_members_export": Standing.MAILABLE,
    "unsubscribed_members_export": Standing.UNSUBSCRIBED,
    "cleaned_members_export": Standing.BOUNCED,
    "nonsubscribed_members_export": Standing.SKIPPED,
}


def find_recipe(headers: Sequence[str]) -> Recipe | None:
    """Return the recipe of the program that wrote these headers, or None."""
    simplified = {simplify(header) for header in headers}
    return next((recipe for recipe in RECIPES if recipe.fits(simplified)), None)


def is_own_export(headers: Sequence[str]) -> bool:
    """Return whether the headers are those of our own export."""
    return tuple(headers[: len(OWN_EXPORT)]) == OWN_EXPORT


def find_file_standing(filename: str) -> Standing | None:
    """Return what the file's name implies about all its rows; None if it implies nothing."""
    name = re.split(r"[/\\]", filename.lower())[-1]
    return next((standing for start, standing in FILE_STANDINGS.items() if name.startswith(start)), None)
