"""Build realistic example data for a tour: people, texts, and past, running and future mailings."""
