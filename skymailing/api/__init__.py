"""The REST API for programs: keys, the machinery of requests, and a module for each resource."""
