"""Reports over a period: read from the numbers that runs keep, as pages, CSV and JSON."""
