"""Tracking: clicks on links in letters, and loaded pictures, told apart from machines."""
