"""Reports over a period, from the counts that runs keep: as pages, CSV and JSON."""
