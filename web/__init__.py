"""The HTTP API. A request ends here in milliseconds; the work is done by workers.

Read in this order: `app` (what is built), `http/problems` (every error), `http/auth` (access),
`schemas` (what a client may send), `routes/jobs` and `routes/batches`, `server`.
"""
