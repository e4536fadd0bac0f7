"""Back up the database and images to one file, and prepare a restored database for use."""
