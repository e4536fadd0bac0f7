"""Messages: the editor, drafts, pictures and previews."""
