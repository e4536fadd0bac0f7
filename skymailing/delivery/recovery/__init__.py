"""Repair the ledger after a crash, a restore or a lost hint."""
