"""Read bounces and complaints in returned mail, and find the client and the mailing concerned."""
