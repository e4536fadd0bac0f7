"""`flask doctor`: check an installation, with advice for every problem."""
