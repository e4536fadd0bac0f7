"""Change many clients at once: immediately if they are few, otherwise in the background."""
