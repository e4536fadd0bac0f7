"""Read the files that people bring: any encoding, CSV and other formats."""
