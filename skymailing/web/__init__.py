"""What all pages share: responses, error pages, form fields, labels, languages and static files."""
