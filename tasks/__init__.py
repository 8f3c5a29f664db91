"""What web and worker must agree on: what a job is, and where records, messages and files live.

Read in this order: `errors`, `job`, the kinds (`extract`, `download`, `clip`), `kinds`,
`rendering`, `store`, `broker`, `storage`, `dispatch`.
"""
