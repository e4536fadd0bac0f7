"""A/B tests: samples of clients who get variants of a letter, and the winner for the other clients."""
