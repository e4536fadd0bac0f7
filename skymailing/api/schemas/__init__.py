"""Schemas: what programs send and get, one module for each resource."""
