"""Run a webhook receiver: python -m bench.webhook_receiver CERTIFICATE."""

import ssl
import sys
import time

from tests.webhooks.receiver import Receiver


def main() -> None:
    """Print the port, then accept calls until the process is terminated."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(sys.argv[1])
    with Receiver(context, keeps_requests=False) as receiver:
        sys.stdout.write(f"{receiver.port}\n")
        sys.stdout.flush()
        time.sleep(3600)


if __name__ == "__main__":
    main()
