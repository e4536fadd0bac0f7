"""Back up the database and pictures to one file, and prepare a restored database for use."""
