"""Letters: writing, checking, previewing."""
