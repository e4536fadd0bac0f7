"""Serve the baseline for the page rows: a minimal Flask app, under the same web server as the service."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Hello"
