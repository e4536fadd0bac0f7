"""Every change of a delivery's state: claims, results, attempts and statistics."""
