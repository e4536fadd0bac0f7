"""Provide what all pages share: responses, error pages, form fields, labels, languages, static files."""
