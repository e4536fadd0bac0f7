"""Search the address book.

`matching` decides whether a client matches. `trigrams` and `index` make searches fast: the index names the
clients that may match, and the conditions are tried on them alone. Database triggers note each client that
changes in `clients_to_index`; a job updates the index later, so that imports need not wait for it.
"""
