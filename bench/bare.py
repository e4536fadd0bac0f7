"""The yardstick of the page rows: the least that Flask can do, under the service's own web server."""

from flask import Flask

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "Hello"
