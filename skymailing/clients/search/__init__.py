"""Search the address book.

`matching` decides whether a client matches. `trigrams` and `index` make searches fast: the index finds
clients that may match, and only those are checked. Database triggers add each changed client to
`clients_to_index`; a job updates the index later, so that imports need not wait for it.
"""
