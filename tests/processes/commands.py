"""Run the commands of installations."""

from click.testing import Result

from config import TestingConfig
from skymailing import create_app
from skymailing.extensions import db


def invoke_flask(environment: dict[str, str], *arguments: str) -> Result:
    """Run a command with these settings; return its result."""
    app = create_app(TestingConfig(environment))
    try:
        return app.test_cli_runner().invoke(args=arguments)
    finally:
        with app.app_context():
            db.engine.dispose()


def run_command(environment: dict[str, str], *arguments: str) -> str:
    result = invoke_flask(environment, *arguments)
    assert result.exit_code == 0, result.output
    return result.output
