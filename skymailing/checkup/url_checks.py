"""Check the addresses of a letter's links."""

import re
from collections.abc import Iterable
from ipaddress import ip_address

from skymailing.checkup.letters import Letter, Link, find_site, read_host
from skymailing.checkup.results import PASSED, Result, advise, warn
from skymailing.models import LinkCheck

MAX_SITES = 10
# Public services that hide where a link leads; most are in SpamAssassin's list (`25_url_shortener.cf`).
# Short addresses of a single site, such as youtu.be, are left out.
SHORTENERS = frozenset(
    "adf.ly b.link bit.do bit.ly bitly.com clck.ru cutt.ly goo.gl goo.su is.gd j.mp kisa.link ouo.io ow.ly "
    "qps.ru rb.gy s.id shorturl.asia shorturl.at surl.li t.ly tiny.cc tiny.one tinyurl.com tinylink.in tr.im "
    "u.nu u.to urlz.at v.gd vk.cc x.co".split()
)
# A link text that readers take for an address. Other texts with a dot may be names, such as "ASP.NET".
SHOWN_URL = re.compile(r"(?:https?://|www\.)(?=[^\s/]+\.[^\s/])\S+", re.IGNORECASE)
SHOWN_DOMAIN = re.compile(
    r"(?:[a-zа-яё0-9-]{1,63}\.)+(?:com|org|ru|рф|su|by|kz|ua|de|uk|eu|io|info)(?:/\S*)?"
)


def check_links_open(checked: LinkCheck | None) -> Result | None:
    """Report the result of the last check of the links, if there was one."""
    if checked is None or checked.finished_at is None or not checked.links:
        return None
    broken = len(checked.broken)
    return warn(count=broken, total=len(checked.links)) if broken else PASSED


def check_shorteners(letter: Letter) -> Result | None:
    return _find_hosts(letter, (link.host for link in letter.links if link.host in SHORTENERS))


def check_ip_addresses(letter: Letter) -> Result | None:
    return _find_hosts(letter, (link.host for link in letter.links if is_ip_address(link.host)))


def check_encryption(letter: Letter) -> Result | None:
    """Find links to pages that are not encrypted."""
    if not letter.links:
        return None
    open_hosts = (link.host for link in letter.links if link.url.lower().startswith("http:"))
    host = next((host for host in open_hosts if not is_ip_address(host)), "")
    return advise(host=host) if host else PASSED


def check_link_texts(letter: Letter) -> Result | None:
    """Find links whose text is the address of a site other than their target."""
    if not letter.links:
        return None
    for link in letter.links:
        shown = read_shown_host(link)
        if shown and link.host and not is_same_site(shown, link.host):
            return warn(shown=shown, host=link.host)
    return PASSED


def check_counted_link_texts(letter: Letter) -> Result | None:
    """Find links whose text is an address although they first lead to us, to count the click."""
    if not letter.click_host or not letter.links:
        return None
    shown = (read_shown_host(link) for link in letter.links)
    other = next((host for host in shown if host and not is_same_site(host, letter.click_host)), "")
    return advise(shown=other, host=letter.click_host) if other else PASSED


def check_sites(letter: Letter) -> Result | None:
    """Find letters with links to many sites."""
    if not letter.links:
        return None
    sites = {find_site(link.host) for link in letter.links if link.host}
    return advise(count=len(sites)) if len(sites) > MAX_SITES else PASSED


def read_shown_host(link: Link) -> str:
    """Return the host that a link's text shows; empty if the text is not an address."""
    label = link.label.strip()
    if SHOWN_URL.fullmatch(label):
        return read_host(label if "://" in label else f"https://{label}")
    return read_host(f"https://{label}") if SHOWN_DOMAIN.fullmatch(label) else ""


def is_same_site(shown: str, host: str) -> bool:
    """Return whether two hosts belong to one site; a domain in another script equals its ASCII form."""
    return find_site(to_ascii(shown)) == find_site(to_ascii(host))


def to_ascii(host: str) -> str:
    """Return a host in its ASCII form, or unchanged if it is not valid."""
    try:
        return host.encode("idna").decode()
    except UnicodeError:
        return host


def is_ip_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _find_hosts(letter: Letter, hosts: Iterable[str]) -> Result | None:
    if not letter.links:
        return None
    host = next(iter(hosts), "")
    return warn(host=host) if host else PASSED
