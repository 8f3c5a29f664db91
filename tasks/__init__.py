"""What web and worker must agree on: what a job is, and where records, messages and files live.

Read in this order: `errors`, `specs`, `result`, `kinds`, `job`, `rendering`, `store` (first its
`keys`), `storage`, `dispatch`, then `metrics` and `tracing`.
"""
