"""Who gets a mailing: the conditions of segments, compiled to SQL, and the recipients of a mailing."""
