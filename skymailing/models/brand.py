"""Model for an owner's appearance on public pages."""

from sqlalchemy import ForeignKey, LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column, relationship

from skymailing.models.base import Model, Timestamps
from skymailing.models.user import User

BRAND_NAME_MAX_LENGTH = 200
ADDRESS_MAX_LENGTH = 500
LINKS_MAX_LENGTH = 4_000


class Brand(Timestamps, Model):
    """An owner's appearance on public pages and in letters made of blocks; at most one per owner."""

    __tablename__ = "brands"

    owner_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    # If empty, the name in the owner's profile is shown.
    name: Mapped[str] = mapped_column(String(BRAND_NAME_MAX_LENGTH), default="", server_default="")
    # The page that the name and the logo link to, if any.
    website: Mapped[str] = mapped_column(String(500), default="", server_default="")
    # "#rrggbb" in lowercase; empty: the service's colour.
    color: Mapped[str] = mapped_column(String(7), default="", server_default="")
    # One of `composition.fonts`; empty: the service's font.
    font: Mapped[str] = mapped_column(String(16), default="", server_default="")
    # Colours in the same format; if empty, derived from `color` and the background.
    text_color: Mapped[str] = mapped_column(String(7), default="", server_default="")
    link_color: Mapped[str] = mapped_column(String(7), default="", server_default="")
    button_color: Mapped[str] = mapped_column(String(7), default="", server_default="")
    background_color: Mapped[str] = mapped_column(String(7), default="", server_default="")
    # The postal address below letters; may have several lines.
    address: Mapped[str] = mapped_column(String(ADDRESS_MAX_LENGTH), default="", server_default="")
    # URLs of pages in social networks, one per line.
    links: Mapped[str] = mapped_column(String(LINKS_MAX_LENGTH), default="", server_default="")
    # A file name of `web.images`; its key is random, so a new logo has a new URL. Empty: no logo.
    logo_name: Mapped[str] = mapped_column(String(60), default="", server_default="", index=True)
    # Stored in the database, so that backups contain it and several web hosts need no shared folder.
    logo: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)

    owner: Mapped[User] = relationship()
