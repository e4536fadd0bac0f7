"""The ledger: all changes to deliveries, their attempts and their counts."""
