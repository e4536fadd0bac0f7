"""Read the signed links in letters, for the public pages that they open."""

from dataclasses import dataclass

from skymailing.clients.topic_choices import TopicState, list_states
from skymailing.email_addresses import mask_address
from skymailing.extensions import db
from skymailing.models import User
from skymailing.tokens import read_unsubscribe_token, unsubscribe_token


@dataclass(frozen=True, slots=True)
class Recipient:
    """The person who got a letter, its owner, and the ID of its topic.

    `owner` is None if the account has been deleted with all its data: there are no letters to stop.
    """

    token: str
    owner: User | None
    owner_id: int
    email_key: str
    topic_id: int | None

    @property
    def masked(self) -> str:
        """The address, masked so that only someone who knows it recognizes it."""
        return mask_address(self.email_key)

    @property
    def token_for_everything(self) -> str:
        """The token of a letter without a topic to the same person."""
        return unsubscribe_token(self.owner_id, self.email_key)

    def list_topics(self) -> list[TopicState]:
        """Return the topics that the person may see: public ones, and those that they chose or got."""
        states = list_states(self.owner_id, self.email_key)
        return [
            state
            for state in states
            if state.topic.is_public or state.choice or state.topic.id == self.topic_id
        ]


def read_recipient(token: str) -> Recipient:
    """Return the recipient whose link this is. Raises BadToken."""
    owner_id, email_key, topic_id = read_unsubscribe_token(token)
    return Recipient(token, db.session.get(User, owner_id), owner_id, email_key, topic_id)
