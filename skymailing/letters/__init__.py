"""Transactional letters: programs send them to one person each, such as receipts."""
