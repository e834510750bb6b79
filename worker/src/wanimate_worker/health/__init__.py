"""The health of the system: one reading, one list of rules, and their views.

`reading` takes a snapshot of the ledger, the workers and Redis; `rules` lists what can be wrong with it. The page with
its JSON and metrics, `top` and `doctor` show the same rules; `setup` and `work` are what `doctor` checks besides, for
which it asks the server, the vendor, and the workers.
"""
