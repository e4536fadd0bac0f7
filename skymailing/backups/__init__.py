"""Backup of the database and pictures to one file, and the work after a restore."""
