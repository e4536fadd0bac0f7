"""Tests of transactional letters."""
