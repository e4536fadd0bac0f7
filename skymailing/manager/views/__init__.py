"""The pages of the manager panel."""
