"""What every page shares: responses, error pages, form fields, labels, languages and files."""
