"""Export all data of an account: `files` lists the files, and the other modules read their contents."""
