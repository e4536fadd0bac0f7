"""Sequences: letters that follow an event, one step after another."""
