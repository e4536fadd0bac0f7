"""The networks that a block of social links can name, with their colours."""

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Network:
    """A network: its name, the letters in its circle, and its colour."""

    name: str
    letters: str
    color: str


NETWORKS = {
    "vk": Network("VK", "VK", "#0077ff"),
    "telegram": Network("Telegram", "TG", "#1a78a6"),
    "whatsapp": Network("WhatsApp", "WA", "#128c4b"),
    "youtube": Network("YouTube", "YT", "#d90000"),
    "instagram": Network("Instagram", "IG", "#c32a73"),
    "facebook": Network("Facebook", "f", "#1668d8"),
    "x": Network("X", "X", "#17212b"),
    "linkedin": Network("LinkedIn", "in", "#0a66c2"),
    "tiktok": Network("TikTok", "TT", "#17212b"),
    "ok": Network("OK", "OK", "#c75a00"),
    "dzen": Network("Дзен", "Дз", "#17212b"),
    "website": Network("", "www", "#5a6572"),
    "email": Network("", "@", "#5a6572"),
}

# The network of a page, by the last parts of its host name.
HOSTS = {
    "vk.com": "vk",
    "vk.ru": "vk",
    "t.me": "telegram",
    "telegram.me": "telegram",
    "wa.me": "whatsapp",
    "whatsapp.com": "whatsapp",
    "youtube.com": "youtube",
    "youtu.be": "youtube",
    "instagram.com": "instagram",
    "facebook.com": "facebook",
    "x.com": "x",
    "twitter.com": "x",
    "linkedin.com": "linkedin",
    "tiktok.com": "tiktok",
    "ok.ru": "ok",
    "dzen.ru": "dzen",
}


def recognize_network(url: str) -> str:
    """Return the key of the network to which a page belongs."""
    parts = urlsplit(url)
    if parts.scheme == "mailto":
        return "email"
    host = (parts.hostname or "").lower()
    return next((key for name, key in HOSTS.items() if host == name or host.endswith(f".{name}")), "website")
