"""How the system looks over HTTP. A request ends here in milliseconds; the work is a worker's.

Read in this order: `app` (what is built), `problems` (every refusal), `auth` (who may),
`schemas` (what a client may say), `jobs` and `batches` (what happens then), `server`.
"""
