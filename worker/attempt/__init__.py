"""One attempt of a job, as its kind sees it: the lease, the tools, the source, what it took."""
