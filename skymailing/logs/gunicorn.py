"""gunicorn's lines in the shape of all others: `gunicorn --logger-class skymailing.logs.gunicorn.Logger`."""

from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from skymailing.logs import output


class Logger(GunicornLogger):
    """Hands what gunicorn says to the root logger, and lets that write everything."""

    def setup(self, cfg: Any) -> None:
        """Install our output; called by gunicorn before it loads the application."""
        from config import load_config  # the top level reads ours; ours reads it only here

        super().setup(cfg)
        self.error_log.handlers[:] = []
        self.error_log.propagate = True
        output.install(vars(load_config()))
