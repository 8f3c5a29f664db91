"""The map of every key in Redis. Nothing else in the project names one.

job:ID                  hash    record, doc (public JSON), state, revision, token, stage…
batch:ID                hash    record, size, n:STATE, progress (a sum), finished_at, revision
artifact:ID             hash    meta (JSON), size, and `expired` when its file is gone
artifact:ID:jobs        set     the jobs that show it
artifacts               zset    artifacts with a file, by their last use
ready:KIND:OWNER:BATCH  zset    jobs a worker may take, best first; `-` holds those of no batch;
                                a download that we made for a batch's clip is with that batch
turns:KIND              zset    owners with ready jobs, least served first
turns:KIND:OWNER        zset    an owner's batches with ready jobs, least served first
oldest:KIND:OWNER       zset    the same batches, that first whose next job has waited longest
timeline:ID             list    what happened to the job, in order (JSON)
delayed                 zset    jobs that wait for a time
leases                  zset    jobs in a worker's hands, by the end of the lease
dependents:ID           set     jobs, not final, whose source is the job
to_release              set     final jobs whose dependents are still to be released
final                   zset    final jobs, by when they ended
unneeded                set     open downloads that we made for clips and that none needs
queued:KIND  running:KIND       zset by time, set: for the gauges
index:…                 zset    ids in order of creation: all, owner, kind, state, batch, external
flight:HASH             string  the job that does this work; equal work follows it
cache:HASH              string  the job whose artifacts answer this work
idempotency:HASH        string  what a client's own key named: digest and id, expires
answer:ID               string  the first answer to whoever named it so, packed, expires
site:HOST               hash    a site that asked us to come less often, expires
worker:ID               string  a worker's last report, expires
workers                 zset    worker ids by their last report
counters  totals        hash    numbers for /metrics
peaks                   hash    by shape of work: how much more memory it takes than the model says
lock:NAME               string  one holder at a time, expires
changes                 channel ids of what has changed
"""

from __future__ import annotations

PREFIX = "clipmill:"


def key(*parts: str) -> str:
    """The full name of a key from its parts."""
    return PREFIX + ":".join(parts)


ARTIFACTS = key("artifacts")
CHANGES = key("changes")
COUNTERS = key("counters")
DELAYED = key("delayed")
TO_RELEASE = key("to_release")
FINAL = key("final")
LEASES = key("leases")
PEAKS = key("peaks")
TOTALS = key("totals")
UNNEEDED = key("unneeded")
WORKERS = key("workers")
