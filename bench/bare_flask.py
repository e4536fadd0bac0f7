"""Serve a minimal Flask app with the service's web server, as a baseline for pages."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Hello"
