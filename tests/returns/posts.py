"""Create the posts of mail providers about one letter, in their own formats."""

import hashlib
import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from skymailing.returns.providers.amazon_sns import make_signed_text

UNKNOWN_USER = "550 5.1.1 user unknown"
CERTIFICATE_URL = f"https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-{'0a' * 16}.pem"


def brevo(event: str, email: str, reason: str = "", message_id: str = "<1@x>") -> bytes:
    values = {"event": event, "email": email, "id": 26224, "date": "2026-11-28 12:00:00", "ts": 1604933619}
    return json.dumps(values | {"message-id": message_id, "reason": reason, "tag": "x"}).encode()


def postmark(type: str, email: str, details: str = "", record: str = "Bounce") -> bytes:
    values = {"RecordType": record, "ID": 901542550, "Type": type, "Email": email, "ServerID": 23}
    return json.dumps(values | {"MessageID": "2706ee8a", "Details": details, "Inactive": True}).encode()


def sendgrid(*events: dict[str, Any]) -> bytes:
    common = {"timestamp": 1461095250, "sg_message_id": "filter0093p1las1.9128"}
    return json.dumps(
        [common | {"sg_event_id": f"event-{number}"} | event for number, event in enumerate(events)]
    ).encode()


def mailgun(key: str, event: str, email: str, now: datetime, **more: Any) -> bytes:
    timestamp, token = str(int(now.timestamp())), "0f" * 25
    sign = hmac.new(key.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
    data = {"event": event, "id": "G9Bn5sl1", "timestamp": 1521472262.908181, "recipient": email}
    signature = {"timestamp": timestamp, "token": token, "signature": sign}
    return json.dumps({"signature": signature, "event-data": data | more}).encode()


def unisender_go(key: str, *events: dict[str, Any]) -> bytes:
    found = [{"event_name": "transactional_email_status", "event_data": event} for event in events]
    body = json.dumps({"auth": key, "events_by_user": [{"user_id": 456, "events": found}]})
    return body.replace(key, hashlib.md5(body.encode()).hexdigest()).encode()


class Amazon:
    """Signs notifications as SNS does, with its own certificate."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
        now = datetime.now(UTC)
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
        builder = builder.public_key(self.key.public_key()).serial_number(1)
        builder = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        self.certificate = builder.sign(self.key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def sign(self, **values: str) -> dict[str, str]:
        """Return a notification with its signature."""
        common = {"Type": "Notification", "MessageId": "22b80b92", "Timestamp": "2026-11-28T12:00:00.000Z"}
        signed = common | {"TopicArn": "arn:aws:sns:eu-west-1:123456789012:ses"} | values
        text = make_signed_text(signed)
        signature = b64encode(self.key.sign(text, padding.PKCS1v15(), hashes.SHA256())).decode()
        more = {"SignatureVersion": "2", "Signature": signature, "SigningCertURL": CERTIFICATE_URL}
        return signed | more

    def bounce(self, email: str, headers: str = "", type: str = "Permanent", code: str = UNKNOWN_USER) -> str:
        """Return the text of a bounce; `headers` are those of our letter."""
        pairs = [line.split(": ", 1) for line in headers.splitlines()]
        recipient = {"emailAddress": email, "action": "failed", "diagnosticCode": f"smtp; {code}"}
        bounce = {"bounceType": type, "bounceSubType": "General", "bouncedRecipients": [recipient]}
        mail = {"messageId": "0000", "headers": [{"name": name, "value": value} for name, value in pairs]}
        return json.dumps({"notificationType": "Bounce", "bounce": bounce, "mail": mail})


class SendGridKey:
    """The key pair of an account."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        public = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.public = b64encode(public).decode()

    def sign(self, body: bytes) -> dict[str, str]:
        """Return the headers of a signed post."""
        signature = self._key.sign(b"1600112502" + body, ec.ECDSA(hashes.SHA256()))
        return {
            "X-Twilio-Email-Event-Webhook-Signature": b64encode(signature).decode(),
            "X-Twilio-Email-Event-Webhook-Timestamp": "1600112502",
        }
