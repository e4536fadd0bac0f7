"""Reports for a period, made from the counts that runs keep, as pages, CSV and JSON."""
