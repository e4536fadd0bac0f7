"""Read bounces and complaints in returned mail, and find the client and mailing that they are about."""
