"""Shared by all pages: responses, error pages, form fields, labels, languages and static files."""
