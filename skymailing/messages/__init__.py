"""Messages: the editor, drafts, images and previews."""
