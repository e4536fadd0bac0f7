"""Read the files that users upload: any encoding, CSV and other formats."""
