"""Run the processes of `flask up`: programs, supervisor, embedded Redis, instance lock."""
