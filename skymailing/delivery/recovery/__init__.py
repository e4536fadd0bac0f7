"""Repair of what a crash, a restore or a lost hint left behind."""
