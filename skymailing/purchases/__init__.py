"""Purchases that owners' shops report, credited to the mailings that led to them."""
