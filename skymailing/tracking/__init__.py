"""Tracking: clicks on links and loads of tracking images, by people and by machines."""
