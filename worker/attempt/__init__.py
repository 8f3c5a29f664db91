"""One attempt of a job, as its handler sees it: lease, tools, source and memory used."""
