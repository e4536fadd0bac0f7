"""Test parsing and displaying email addresses."""

import pytest
from email_validator import EmailSyntaxError
from hypothesis import example, given
from hypothesis import strategies as st

from skymailing.delivery.rendering.mime import encode_recipient
from skymailing.email_addresses import (
    PLAIN_ADDRESS,
    AddressFault,
    InvalidEmail,
    address_key,
    display_address,
    is_surely_valid,
    mailbox_key,
    mask_address,
    normalize,
    parse_address,
    parse_recipient,
    parse_strictly,
    person_key,
)
from skymailing.web.error_texts import explain

# An alphabet that often yields valid, nearly valid and broken addresses.
ADDRESS_CHARACTERS = st.sampled_from("aZ0.-+_@'xn!x--...@ тé\r\n\t\0")
WORDS = st.text(st.sampled_from("aBx0-.n+_'"), min_size=1, max_size=70)
INTERNATIONAL_CHARACTERS = st.sampled_from("aяЯ0.-+_@@..e\u0301åÅßİΣςक邮 х\u202e°\ud800\0")
TOP_LEVEL_DOMAINS = st.sampled_from(
    ["com", "ORG", "test", "local", "localhost", "onion", "invalid", "Arpa", "c0m", "1", "xn--p1ai", "рф"]
)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("anna@example.com", "anna@example.com"),
        ("  Anna@Example.COM\t", "Anna@example.com"),
        ("\ufeffanna@example.com", "anna@example.com"),
        ("o'brien+news@mail.example.org", "o'brien+news@mail.example.org"),
        ("INFO@example.org", "info@example.org"),
        ("anna@пример.рф", "anna@xn--e1afmkfd.xn--p1ai"),
        ("anna@xn--e1afmkfd.xn--p1ai", "anna@xn--e1afmkfd.xn--p1ai"),
        ("anna@BÜCHER.example", "anna@xn--bcher-kva.example"),
        ("anna@office.local", "anna@office.local"),
        ("anna@sky.test", "anna@sky.test"),
        ("anna@sub.localhost", "anna@sub.localhost"),
    ],
)
def test_an_address_is_returned_as_mail_servers_expect_it(text: str, address: str) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize(
    ("address", "mailbox"),
    [
        ("Anna+news@Example.com", "anna@example.com"),
        ("anna+a+b@example.com", "anna@example.com"),
        ("+anna@example.com", "+anna@example.com"),
        ("an.na@example.com", "an.na@example.com"),
        ("an.na+x@googlemail.com", "anna@gmail.com"),
    ],
)
def test_tagged_addresses_belong_to_one_mailbox(address: str, mailbox: str) -> None:
    assert mailbox_key(address) == mailbox


@pytest.mark.parametrize("address", ["ivan.petrov@ya.ru", "Ivan-Petrov+x@yandex.com"])
def test_addresses_at_yandex_belong_to_one_person(address: str) -> None:
    assert person_key(address) == "ivan-petrov@yandex.ru"
    assert person_key("an.na+x@googlemail.com") == "anna@gmail.com"


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", AddressFault.EMPTY),
        ("   ", AddressFault.EMPTY),
        ("anna.example.com", AddressFault.NO_AT_SIGN),
        ("anna@@example.com", AddressFault.SEVERAL_AT_SIGNS),
        ("a@example.com, b@example.com", AddressFault.SEVERAL_AT_SIGNS),
        ("anna smith@example.com", AddressFault.SPACE),
        ("anna@exa mple.com", AddressFault.SPACE),
        ("anna@example.com\r\nBcc: x", AddressFault.CONTROL_CHARACTER),
        ("an\0na@example.com", AddressFault.CONTROL_CHARACTER),
        ("an\u202ena@example.com", AddressFault.CONTROL_CHARACTER),
        (f"{'a' * 65}@example.com", AddressFault.TOO_LONG),
        (f"anna@{'a.' * 130}com", AddressFault.TOO_LONG),
        (".anna@example.com", AddressFault.LOCAL_PART),
        ("an..na@example.com", AddressFault.LOCAL_PART),
        ('"anna smith"@example.com', AddressFault.SPACE),
        ('"anna"@example.com', AddressFault.LOCAL_PART),
        ("@example.com", AddressFault.LOCAL_PART),
        ("анна@example.com", AddressFault.LOCAL_PART_NOT_LATIN),
        ("anna@", AddressFault.DOMAIN),
        ("anna@example..com", AddressFault.DOMAIN),
        ("anna@-example.com", AddressFault.DOMAIN),
        ("anna@[127.0.0.1]", AddressFault.DOMAIN),
        ("anna@127.0.0.1", AddressFault.DOMAIN),
        ("anna@localhost", AddressFault.DOMAIN_WITHOUT_DOT),
        ("anna@hidden.onion", AddressFault.RESERVED_DOMAIN),
        ("Anna <anna@example.com>", AddressFault.SPACE),
    ],
)
def test_an_invalid_address_is_rejected_with_its_fault(text: str, fault: AddressFault) -> None:
    with pytest.raises(InvalidEmail) as raised:
        parse_address(text)
    assert raised.value.fault == fault
    assert raised.value.code == f"address_{fault}"
    assert explain(raised.value)


@given(st.one_of(st.text(), st.text(ADDRESS_CHARACTERS, max_size=40), st.emails()))
def test_an_accepted_address_is_safe_and_stable(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidEmail:
        return
    assert address.isascii()
    assert address.isprintable()
    assert not set(address) & set(' "<>,;:\\()[]')
    assert address.count("@") == 1
    assert len(address) <= 254
    assert parse_address(address) == address
    assert parse_address(display_address(address)) == address
    assert address_key(address) == address_key(parse_address(address_key(address)))


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Anna@Example.COM", "Anna@example.com"),
        (" Почта.2026@Пример.рф\u200e", "Почта.2026@xn--e1afmkfd.xn--p1ai"),
        ("jose\u0301@example.com", "josé@example.com"),
        ("news+почта@example.com", "news+почта@example.com"),
        ("邮件カタ@example.com", "邮件カタ@example.com"),
        ("डाक@example.com", "डाक@example.com"),
        (f"{'я' * 32}@example.com", f"{'я' * 32}@example.com"),
    ],
)
def test_clients_may_have_local_parts_in_any_script(text: str, address: str) -> None:
    assert parse_recipient(text) == address
    if not address.isascii():
        with pytest.raises(InvalidEmail):
            parse_address(text)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("anna smith@example.com", AddressFault.SPACE),
        ("почта example.com", AddressFault.NO_AT_SIGN),
        ("моя почта@example.com", AddressFault.SPACE),
        (".почта@example.com", AddressFault.LOCAL_PART),
        ("поч..та@example.com", AddressFault.LOCAL_PART),
        ("«почта»@example.com", AddressFault.LOCAL_PART),
        ("поч,та@example.com", AddressFault.LOCAL_PART),
        ("Ð°Ð½Ð½Ð°@example.com", AddressFault.LOCAL_PART),
        ("😀@example.com", AddressFault.LOCAL_PART),
        ("аnna@example.com", AddressFault.MIXED_ALPHABETS),
        ("anna.petrοva@example.com", AddressFault.MIXED_ALPHABETS),
        ("поч\u202eта@example.com", AddressFault.CONTROL_CHARACTER),
        (f"{'я' * 33}@example.com", AddressFault.TOO_LONG),
        ("почта@", AddressFault.DOMAIN),
        ("почта@example..com", AddressFault.DOMAIN),
        ("почта@example", AddressFault.DOMAIN_WITHOUT_DOT),
        ("почта@hidden.onion", AddressFault.RESERVED_DOMAIN),
    ],
)
def test_an_invalid_address_of_a_client_is_rejected_with_its_fault(text: str, fault: AddressFault) -> None:
    with pytest.raises(InvalidEmail) as raised:
        parse_recipient(text)
    assert raised.value.fault == fault
    assert explain(raised.value)


@given(st.one_of(st.text(), st.text(INTERNATIONAL_CHARACTERS, max_size=40), st.emails()))
@example("ΟΔΟΣ@example.com")
@example("İ@example.com")
def test_an_accepted_address_of_a_client_is_safe_and_stable(text: str) -> None:
    try:
        address = parse_recipient(text)
    except InvalidEmail:
        return
    assert address.isprintable()
    assert not set(address) & set(' "<>,;:\\()[]')
    assert len(address.encode()) <= 254
    assert address.rpartition("@")[2].isascii()
    assert encode_recipient(address).decode() == address
    assert parse_recipient(address) == parse_recipient(display_address(address)) == address
    key = address_key(address)
    assert key == address_key(key) == address_key(parse_recipient(key))


@given(st.builds("{}@{}.{}".format, WORDS, WORDS, TOP_LEVEL_DOMAINS))
@example("a@xn--.com")
@example("a@ab--c.com")
@example(f"a@{'b' * 64}.com")
@example(f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.com")
@example("Sales@example.com")
def test_the_fast_check_accepts_nothing_that_the_exact_check_rejects(text: str) -> None:
    plain = PLAIN_ADDRESS.fullmatch(text)
    if plain is None or not is_surely_valid(text, plain):
        return
    try:
        exact = parse_strictly(text)
    except EmailSyntaxError as error:
        pytest.fail(f"{text!r} is rejected: {error}")
    assert normalize(plain["local"], plain["domain"]) == exact


def test_international_domains_are_displayed_in_their_own_script() -> None:
    assert display_address("anna@xn--e1afmkfd.xn--p1ai") == "anna@пример.рф"
    assert display_address("anna@example.com") == "anna@example.com"
    assert display_address("anna@xn--broken-.com") == "anna@xn--broken-.com"


def test_only_the_owner_recognizes_a_masked_address() -> None:
    assert mask_address("anna.petrova@xn--e1afmkfd.xn--p1ai") == "a***@пример.рф"
