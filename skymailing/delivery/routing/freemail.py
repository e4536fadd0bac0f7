"""List the public mail providers whose addresses may be used only by their own mail servers.

These providers publish strict DMARC policies or filter mail from their own domains strictly. A letter from a
gmail.com address sent through another server is rejected or marked as spam. Only large providers are listed.
"""

from dataclasses import dataclass

from flask import current_app

from skymailing.models import SmtpServer


@dataclass(frozen=True, slots=True)
class Provider:
    """A provider's address domains, and the domains of its mail servers."""

    domains: frozenset[str]
    servers: tuple[str, ...]


def _provider(domains: str, servers: str) -> Provider:
    return Provider(frozenset(domains.split()), tuple(servers.split()))


PROVIDERS = (
    _provider("gmail.com googlemail.com", "gmail.com google.com googlemail.com"),
    _provider(
        "yandex.ru ya.ru yandex.com yandex.by yandex.kz yandex.uz narod.ru", "yandex.ru yandex.net yandex.com"
    ),
    _provider("mail.ru bk.ru inbox.ru list.ru internet.ru xmail.ru mail.ua", "mail.ru"),
    _provider("rambler.ru lenta.ru autorambler.ru myrambler.ru ro.ru rambler.ua", "rambler.ru"),
    _provider(
        "outlook.com outlook.de outlook.fr hotmail.com hotmail.co.uk hotmail.de hotmail.fr live.com msn.com",
        "outlook.com office365.com hotmail.com live.com",
    ),
    _provider(
        "yahoo.com yahoo.co.uk yahoo.de yahoo.fr yahoo.it yahoo.es yahoo.co.jp ymail.com aol.com",
        "yahoo.com yahoodns.net yahoo.co.jp aol.com",
    ),
    _provider("icloud.com me.com mac.com", "icloud.com me.com mac.com"),
    _provider("proton.me protonmail.com pm.me", "proton.me protonmail.com protonmail.ch"),
    _provider("gmx.de gmx.net gmx.com gmx.at gmx.ch web.de", "gmx.net gmx.com web.de"),
    _provider("ukr.net", "ukr.net"),
    _provider("qq.com foxmail.com", "qq.com"),
    _provider("163.com 126.com", "163.com 126.com"),
)


def find_provider(domain: str) -> Provider | None:
    """Return the provider whose addresses have this lowercase domain."""
    return next((provider for provider in PROVIDERS if domain in provider.domains), None)


def find_protected_domain(address: str, server: SmtpServer | None = None) -> str:
    """Return the address's domain if the server may not send from it, or an empty string if it may.

    Without a server, check the installation's servers.
    """
    domain = address.rpartition("@")[2].lower()
    hosts = [server.host] if server is not None else _list_hosts()
    provider = find_provider(domain)
    if provider is None or all(_belongs_to(host, provider) for host in hosts):
        return ""
    return domain


def _list_hosts() -> list[str]:
    """Return the hosts of the installation's mail servers: letters may be sent through any of them."""
    config = current_app.config
    fallback = config["MAIL_FALLBACK"]
    return [config["MAIL_SERVER"], *([fallback.server] if fallback is not None else [])]


def _belongs_to(host: str, provider: Provider) -> bool:
    name = host.lower().rstrip(".")
    return any(name == server or name.endswith(f".{server}") for server in provider.servers)
