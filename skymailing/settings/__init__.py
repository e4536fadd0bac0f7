"""Read settings from the environment for `config.py`: for the engine, retention, limits and other topics."""
