"""Returned mail: reads bounces and complaints, and finds the client and mailing that they are about."""
