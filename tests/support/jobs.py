"""Run the waiting jobs in the test's own process."""

from flask import Flask

from skymailing.webhooks import tasks as webhooks
from skymailing.worker import make_worker

webhooks.LINGER_SECONDS = 0.0  # otherwise the sending thread would wait for more calls


def run_jobs(app: Flask) -> None:
    """Run a worker until the queues are empty and all webhook calls have been sent."""
    with app.app_context():
        worker = make_worker()
        worker.work(burst=True, logging_level="WARNING")
        worker.connection.connection_pool.disconnect()  # workers are counted by their connections
    webhooks.SERVING.wait(60)
