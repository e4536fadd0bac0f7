"""The ledger: every change of a delivery's state, its attempts and its counts."""
