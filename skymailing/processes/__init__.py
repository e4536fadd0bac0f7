"""Run the processes of `flask up`: programs, supervisor, bundled Valkey server, instance lock."""
