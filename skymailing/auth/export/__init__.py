"""Export all data of an account: `files` lists the files, the other modules read what they contain."""
