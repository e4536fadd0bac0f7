"""Settings of the engine and of retention, read from the environment by `config.py`."""
