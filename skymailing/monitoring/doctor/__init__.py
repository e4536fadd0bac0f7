"""`flask doctor`: checks of an installation, each with advice."""
