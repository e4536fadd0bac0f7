"""Log gunicorn's messages in our format: `gunicorn --logger-class skymailing.logs.gunicorn.Logger`."""

from typing import Any

from gunicorn.glogging import Logger as GunicornLogger

from skymailing.logs import output


class Logger(GunicornLogger):
    """Passes gunicorn's messages to the root logger."""

    def setup(self, cfg: Any) -> None:
        """Install our output; called by gunicorn before it loads the application."""
        from config import load_config  # config imports our modules, so ours import it late

        super().setup(cfg)
        self.error_log.handlers[:] = []
        self.error_log.propagate = True
        output.install(vars(load_config()))
