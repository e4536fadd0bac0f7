"""The REST API for programs: keys, request processing, and a module for each resource."""
