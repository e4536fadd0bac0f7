"""Test the exports of other services and programs, with their exact header rows."""

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from skymailing.clients.columns import recognize_columns
from skymailing.models import Client
from tests.clients.conftest import Import
from tests.clients.test_import_cases import count, make_csv, read_people, read_suppressions

# Files are read in Python; `test_imports` writes to both databases.
pytestmark = pytest.mark.one_engine

MAILCHIMP = (
    "Email Address,First Name,Last Name,Address,Phone Number,Birthday,MEMBER_RATING,OPTIN_TIME,OPTIN_IP,"
    "CONFIRM_TIME,CONFIRM_IP,GMTOFF,DSTOFF,TIMEZONE,CC,REGION,"
)
SUBSCRIBED = f"{MAILCHIMP}LAST_CHANGED,LEID,EUID,NOTES,TAGS"
UNSUBSCRIBED = (
    f"{MAILCHIMP}UNSUB_TIME,UNSUB_CAMPAIGN_TITLE,UNSUB_CAMPAIGN_ID,UNSUB_REASON,UNSUB_REASON_OTHER,"
    "LEID,EUID,NOTES,TAGS"
)
CLEANED = f"{MAILCHIMP}CLEAN_TIME,CLEAN_CAMPAIGN_TITLE,CLEAN_CAMPAIGN_ID,LEID,EUID,NOTES,TAGS"
LISTMONK = "uuid,email,name,attributes,status,created_at,updated_at"
KEILA = "Email,First name,Last name,Data,Status,External ID"
BREVO = (
    "CONTACT ID;EMAIL;LASTNAME;FIRSTNAME;WHATSAPP;SMS;DOUBLE_OPT-IN;OPT_IN;LANDLINE_NUMBER;EXT_ID;"
    "CONTACT_TIMEZONE;JOB_TITLE;LINKEDIN;ADDED_TIME;MODIFIED_TIME;EMAIL_BLACKLISTED"
)
GOOGLE = (
    "First Name,Middle Name,Last Name,Phonetic First Name,Phonetic Middle Name,"
    "Phonetic Last Name,Name Prefix,"
    "Name Suffix,Nickname,File As,Organization Name,Organization Title,Organization Department,"
    "Birthday,Notes,"
    "Photo,Labels,E-mail 1 - Label,E-mail 1 - Value,E-mail 2 - Label,E-mail 2 - Value,Phone 1 - Label,"
    "Phone 1 - Value"
)
OLD_GOOGLE = (
    "Name,Given Name,Additional Name,Family Name,Yomi Name,Given Name Yomi,Additional Name Yomi,"
    "Family Name Yomi,Name Prefix,Name Suffix,Initials,Nickname,Short Name,Maiden Name,"
    "Birthday,Gender,Location,"
    "Billing Information,Directory Server,Mileage,Occupation,Hobby,Sensitivity,Priority,"
    "Subject,Notes,Language,"
    "Photo,Group Membership,E-mail 1 - Type,E-mail 1 - Value,Phone 1 - Type,Phone 1 - Value,Address 1 - Type,"
    "Address 1 - Formatted,Organization 1 - Type,Organization 1 - Name"
)
OUTLOOK = (
    "Title,First Name,Middle Name,Last Name,Suffix,Company,Department,Job Title,"
    "Business Street,Business City,"
    "Anniversary,Birthday,Categories,E-mail Address,E-mail Type,E-mail Display Name,E-mail 2 Address,"
    "E-mail 2 Type,E-mail 2 Display Name,E-mail 3 Address,E-mail 3 Type,E-mail 3 Display Name,"
    "Gender,Initials,"
    "Keywords,Language,Location,Notes,Priority,Private,Sensitivity,Web Page"
)
NEW_OUTLOOK = (
    "First Name,Middle Name,Last Name,Title,Suffix,Nickname,Given Yomi,Surname Yomi,E-mail Address,"
    "E-mail 2 Address,E-mail 3 Address,Home Phone,Mobile Phone,Company,Birthday,Notes"
)
RUSSIAN_OUTLOOK = (
    "Обращение,Имя,Отчество,Фамилия,Суффикс,Организация,Отдел,Должность,Улица (раб. адрес),Заметки,Категории,"
    "Адрес эл. почты,Тип эл. почты,Краткое имя эл. почты,Адрес 2 эл. почты,Тип 2 эл. почты,"
    "Краткое 2 имя эл. почты,Адрес 3 эл. почты,Тип 3 эл. почты,Краткое 3 имя эл. почты,Язык"
)
THUNDERBIRD = (
    "First Name,Last Name,Display Name,Nickname,Primary Email,Secondary Email,Screen Name,"
    "Work Phone,Home Phone,"
    "Organization,Custom 1,Notes,"
)
UNISENDER = (
    "email,Name,email_status,email_availability,email_add_time,email_confirm_time,email_list_ids,"
    "email_subscribe_times,email_unsubscribed_list_ids,tags"
)
WORDPRESS = (
    "ID,user_login,user_pass,user_nicename,user_email,user_url,user_registered,user_activation_key,"
    "user_status,display_name"
)
HEADERS = {
    "Mailchimp": [SUBSCRIBED, UNSUBSCRIBED, CLEANED],
    "listmonk": [LISTMONK],
    "Keila": [KEILA],
    "Google": [GOOGLE, OLD_GOOGLE],
    "Outlook": [OUTLOOK, NEW_OUTLOOK, RUSSIAN_OUTLOOK],
    "Thunderbird": [THUNDERBIRD],
    "Unisender": [UNISENDER],
    "WordPress": [WORDPRESS],
}


@pytest.mark.parametrize("name", HEADERS)
def test_each_program_is_recognized_by_its_headers(name: str) -> None:
    for headers in HEADERS[name]:
        assert recognize_columns(headers.split(",")).recipe == name


def test_brevo_is_recognized_by_its_headers() -> None:
    assert recognize_columns(BREVO.split(";")).recipe == "Brevo"


def test_mailchimps_subscribers_become_clients(run: Import, session: Session) -> None:
    row = {"Email Address": "jane@example.org", "First Name": "Jane", "Last Name": "Doe", "Birthday": "05/17"}
    technical = {"MEMBER_RATING": "2", "LEID": "1", "EUID": "x", "CC": "us", "GMTOFF": "-5"}
    kept = {"NOTES": "met twice", "TAGS": '"Member","2025 waiver"', "OPTIN_TIME": "2025-01-01 00:00:00"}
    run(make_csv(SUBSCRIBED, row | technical | kept))
    names = {"first_name": "Jane", "last_name": "Doe"}
    assert read_people(session) == [
        ("jane@example.org", "Jane Doe", names | {"birthday": "05/17", "tags": "2025 waiver, Member"})
    ]
    assert session.scalars(select(Client.comment)).all() == ["met twice"]


@pytest.mark.both_engines
@pytest.mark.parametrize(("headers", "reason"), [(UNSUBSCRIBED, "unsubscribed"), (CLEANED, "bounced")])
def test_mailchimps_other_files_become_suppressions(
    run: Import, session: Session, headers: str, reason: str
) -> None:
    import_ = run(make_csv(headers, {"Email Address": "Gone@example.org", "First Name": "Gone"}))
    assert count(import_) == {"suppressed": 1}
    assert read_people(session) == []
    assert read_suppressions(session) == {"gone@example.org": reason}


def test_listmonks_attributes_and_states_are_read(run: Import, session: Session) -> None:
    data = '{"city": "Omsk", "tags": ["vip", "new"], "shop": {"id": 7, "open": true}, "none": null}'
    row = {"uuid": "1", "email": "anna@example.org", "name": "Anna Petrova", "attributes": data}
    import_ = run(
        make_csv(
            LISTMONK,
            row | {"status": "enabled"},
            row | {"email": "b@example.org", "status": "blocklisted"},
            row | {"email": "c@example.org", "status": "disabled"},
        )
    )
    assert count(import_) == {"created": 1, "suppressed": 1, "left_out": 1}
    values = {"city": "Omsk", "tags": "new, vip", "shop_id": "7", "shop_open": "true"}
    assert read_people(session) == [("anna@example.org", "Anna Petrova", values)]


def test_keilas_data_and_states_are_read(run: Import, session: Session) -> None:
    row = {"First name": "Jane", "Last name": "Doe", "Data": '{"age": 34}', "External ID": "x7"}
    import_ = run(
        make_csv(
            KEILA,
            row | {"Email": "jane@example.org", "Status": "active"},
            row | {"Email": "b@example.org", "Status": "unsubscribed"},
            row | {"Email": "c@example.org", "Status": "unreachable"},
        )
    )
    assert count(import_) == {"created": 1, "suppressed": 2}
    values = {"first_name": "Jane", "last_name": "Doe", "age": "34", "external_id": "x7"}
    assert read_people(session) == [("jane@example.org", "Jane Doe", values)]
    assert read_suppressions(session) == {"b@example.org": "unsubscribed", "c@example.org": "bounced"}


def test_brevos_contacts_and_blocklist_are_read(run: Import, session: Session) -> None:
    rows = "1;jane@example.org;Doe;Jane;;;;;;;;Baker;;;;false\n2;out@example.org;;;;;;;;;;;;;;true\n"
    import_ = run(f"{BREVO}\n{rows}")
    assert count(import_) == {"created": 1, "suppressed": 1}
    values = {"first_name": "Jane", "last_name": "Doe", "job_title": "Baker"}
    assert read_people(session) == [("jane@example.org", "Jane Doe", values)]


def test_googles_contacts_are_read(run: Import, session: Session) -> None:
    row = {
        "First Name": "Ada",
        "Middle Name": "King",
        "Last Name": "Lovelace",
        "Organization Name": "Analytical Engines",
        "Birthday": "--12-10",
        "Notes": "Met at\nthe conference",
        "Labels": "* myContacts ::: Work",
        "E-mail 1 - Label": "* Work",
        "E-mail 1 - Value": "ada@example.org ::: ada@home.example",
        "Phone 1 - Value": "+44 20 1234",
    }
    run(make_csv(GOOGLE, row))
    assert read_people(session) == [
        (
            "ada@example.org",
            "Ada King Lovelace",
            {
                "first_name": "Ada",
                "middle_name": "King",
                "last_name": "Lovelace",
                "company": "Analytical Engines",
                "birthday": "--12-10",
                "tags": "Work",
                "phone": "+44 20 1234",
                "email_2": "ada@home.example",
            },
        )
    ]
    assert session.scalars(select(Client.comment)).all() == ["Met at\nthe conference"]


def test_googles_older_layout_is_read(run: Import, session: Session) -> None:
    row = {
        "Name": "Ada Lovelace",
        "Given Name": "Ada",
        "Family Name": "Lovelace",
        "E-mail 1 - Type": "* Work",
    }
    more = {
        "E-mail 1 - Type": "* Work",
        "E-mail 1 - Value": "ada@example.org",
        "Group Membership": "* myContacts ::: Friends",
    }
    run(make_csv(OLD_GOOGLE, row | more))
    values = {"first_name": "Ada", "last_name": "Lovelace", "tags": "Friends"}
    assert read_people(session) == [("ada@example.org", "Ada Lovelace", values)]


def test_outlooks_contacts_are_read(run: Import, session: Session) -> None:
    row = {
        "First Name": "Jörg",
        "Last Name": "Müller",
        "Birthday": "0/0/00",
        "Gender": "Unspecified",
        "Categories": "Kunde;VIP",
        "E-mail Address": "/o=Org/ou=Group/cn=Recipients/cn=jm",
        "E-mail Type": "EX",
        "E-mail 2 Address": "jm@example.org",
        "E-mail 2 Type": "SMTP",
        "Priority": "Normal",
        "Private": "False",
    }
    run(make_csv(OUTLOOK, row).encode("cp1252"))
    values = {"first_name": "Jörg", "last_name": "Müller", "tags": "Kunde, VIP"}
    assert read_people(session) == [("jm@example.org", "Jörg Müller", values)]


def test_new_outlooks_contacts_are_read(run: Import, session: Session) -> None:
    row = {"First Name": "Анна", "Last Name": "Петрова", "E-mail Address": "a@example.org", "Company": "Рога"}
    run(b"\xef\xbb\xbf" + make_csv(NEW_OUTLOOK, row | {"E-mail 2 Address": "b@example.org"}).encode())
    values = {"first_name": "Анна", "last_name": "Петрова", "company": "Рога"}
    assert read_people(session) == [
        ("a@example.org", "Анна Петрова", values | {"e_mail_2_address": "b@example.org"})
    ]


def test_russian_outlooks_contacts_are_read(run: Import, session: Session) -> None:
    row = {"Имя": "Анна", "Отчество": "Ивановна", "Фамилия": "Петрова", "Категории": "Клиенты;VIP"}
    more = {"Адрес эл. почты": "a@example.org", "Тип эл. почты": "SMTP", "Организация": "Рога и копыта"}
    run(make_csv(RUSSIAN_OUTLOOK, row | more).encode("cp1251"))
    names = {"first_name": "Анна", "middle_name": "Ивановна", "last_name": "Петрова"}
    assert read_people(session) == [
        (
            "a@example.org",
            "Анна Ивановна Петрова",
            names | {"организация": "Рога и копыта", "tags": "VIP, Клиенты"},
        )
    ]


def test_thunderbirds_contacts_are_read(run: Import, session: Session) -> None:
    row = {
        "First Name": "Ada",
        "Display Name": "Ada L.",
        "Primary Email": "",
        "Secondary Email": "a@example.org",
    }
    run(make_csv(THUNDERBIRD, row))
    assert read_people(session) == [("a@example.org", "Ada L.", {"first_name": "Ada"})]


def test_unisenders_contacts_and_states_are_read(run: Import, session: Session) -> None:
    row = {"Name": "Анна", "email_availability": "available", "tags": "vip,опт"}
    import_ = run(
        make_csv(
            UNISENDER,
            row | {"email": "a@example.org", "email_status": "active"},
            row | {"email": "b@example.org", "email_status": "unsubscribed"},
            row | {"email": "c@example.org", "email_status": "inactive"},
            row | {"email": "d@example.org", "email_status": "active", "email_availability": "unreachable"},
        )
    )
    assert count(import_) == {"created": 1, "suppressed": 2, "left_out": 1}
    assert read_people(session) == [("a@example.org", "Анна", {"tags": "vip, опт"})]
    assert read_suppressions(session) == {"b@example.org": "unsubscribed", "d@example.org": "bounced"}


def test_russian_names_are_joined(run: Import, session: Session) -> None:
    run("Фамилия;Имя;Отчество;Почта;Метки\nПетрова;Анна;Ивановна;a@example.org;VIP;\n")
    names = {"first_name": "Анна", "middle_name": "Ивановна", "last_name": "Петрова"}
    assert read_people(session) == [("a@example.org", "Анна Ивановна Петрова", names | {"tags": "VIP"})]
