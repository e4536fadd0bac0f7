"""Tracking: clicks on links in letters, and loaded pictures, of people and of machines."""
