"""Settings that `config.py` reads from the environment: the engine's, retention's, and helpers."""
