"""The map of all keys in Redis. Only this module names keys.

job:ID                  hash    record, doc (public JSON), state, revision, token, stage…
batch:ID                hash    record, size, n:STATE, progress (a sum), finished_at, revision
artifact:ID             hash    meta (JSON), size, and `expired` when its file is gone
artifact:ID:jobs        set     the jobs whose result lists it
artifacts               zset    artifacts with a file, by their last use
ready:KIND:OWNER:GROUP  zset    ready jobs of a fairness group, the next one first: of a batch
                                with the downloads made for its clips, or `-`, of no batch
turns:KIND              zset    owners with ready jobs, by the turns they have had
turns:KIND:OWNER        zset    fairness groups with ready jobs, by the turns they have had
oldest:KIND:OWNER       zset    fairness groups, by how long their next job has waited
timeline:ID             list    what happened to the job, in order (JSON)
aside:KIND              zset    jobs that this version cannot read, by when they were set aside
delayed                 zset    jobs that wait for a time, by that time
leases                  zset    jobs that a worker holds, by the end of the lease
dependents:ID           set     jobs, not final, that depend on the job
to_release              set     final jobs whose dependents are still to be released
final                   zset    final jobs, by the time of their end
unneeded                set     downloads, not final, made for clips, that no clip needs
queued:KIND             zset    queued jobs, by when they entered the queue
queued_by_owner         hash    how many jobs of each owner are queued
leased_by_owner         hash    how many jobs of each owner workers hold
most_running            hash    how many they may hold at most, of owners with such a limit
running:KIND            set     running jobs
index:…                 zset    ids in order of creation: all, owner, kind, state, batch,
                                external; of batches: batches, batches:OWNER
flight:HASH             string  the leader of equal work: the later jobs follow it
cache:HASH              string  the job whose artifacts are the result of this work
idempotency:HASH        string  what was accepted under a client's key: digest and id, expires
answer:ID               string  the first response under a client's key, compressed, expires
site:OWNER:HOST         hash    the circuit breaker of a site that throttled us, expires
webhook:…                       who is told of ends (tasks/outbox)
  :endpoint:ID          hash    a registered URL, or a server that single jobs name (expires)
  :endpoints:OWNER      zset    the owner's registered endpoints
  :delivery:ID          hash    one message to one endpoint: document, state, tries, lease token
  :deliveries:OWNER     zset    its deliveries in order of creation
  :queue:ENDPOINT       zset    deliveries that wait for a try, by its time
  :flying:ENDPOINT      set     deliveries that a sender holds; flying_of, by owner
  :due :failing         zset    endpoints with a queue, by the time of their next try
  :leases :ended        zset    deliveries by the end of their lease, by when they ended
  :dropping             set     endpoints whose queue is to be ended
  :open_of              hash    how many deliveries of an owner have not ended
  :secret:OWNER         hash    what its messages are signed with
  :private_key          string  what all messages are signed with (v1a)
worker:ID               string  a worker's last report, expires
workers                 zset    worker ids by their last report
use:OWNER:DAY           hash    bytes and media seconds that an owner has used, expires
keys_used               zset    keys by their last use
link_secrets            hash    what links are signed with, each with its age
rate:OWNER:SECONDS      list    the times of a key's last requests, expires
counters  totals        hash    numbers for /metrics
peaks                   hash    by shape of work: the factor from the model's estimate to the peak
lock:NAME               string  the holder of a lock, expires
trial                   string  written to see whether the server takes a write, expires
changes                 channel ids of the jobs and batches that change
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
