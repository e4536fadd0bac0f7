"""Determine who gets a mailing: compile the conditions of segments to SQL, and select the recipients."""
