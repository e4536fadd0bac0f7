"""What is removed after a chosen time: by the sweep, in small steps that nobody has to wait for."""
