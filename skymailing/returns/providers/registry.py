"""List the providers whose webhooks are read, by their names in URLs and settings."""

from skymailing.returns.providers import amazon_ses, brevo, mailgun, postmark, sendgrid, unisender_go
from skymailing.returns.providers.events import Reader

READERS: dict[str, Reader] = {
    "amazon_ses": amazon_ses.read,
    "brevo": brevo.read,
    "mailgun": mailgun.read,
    "postmark": postmark.read,
    "sendgrid": sendgrid.read,
    "unisender_go": unisender_go.read,
}
