"""Read settings from the environment for `config.py`: the engine's, those for retention, and helpers."""
