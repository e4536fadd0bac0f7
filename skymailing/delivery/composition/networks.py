"""The networks that a block of social links can name, with their colours."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Network:
    """A network: its name, the letters that stand for it in a circle, and its colour."""

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
