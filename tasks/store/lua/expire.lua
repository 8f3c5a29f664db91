-- Give up an artifact that nobody has used since a moment; its record stays, to say so.
-- ARGV: key prefix, artifact id, that moment, or instead of it "lost": its file is gone already
-- Answer: {"ok", meta} | {"used"} | {"pinned"} (a job that is not final takes it as its source)
local id, unused_since, lost = ARGV[2], tonumber(ARGV[3]), ARGV[3] == 'lost'
local used = redis.call('ZSCORE', key('artifacts'), id)
if not used or not lost and tonumber(used) > unused_since then return {'used'} end
local jobs = redis.call('SMEMBERS', key('artifact', id, 'jobs'))
for _, job in ipairs(jobs) do
  if not lost and redis.call('EXISTS', key('dependents', job)) == 1 then return {'pinned'} end
end
-- Equal work must be done anew from now on, and not wait for a file that is gone.
for _, job in ipairs(jobs) do
  local got = redis.call('HMGET', key('job', job), 'cache_key', 'flight')
  drop_pointers(job, got[1], got[2])
end
local held = redis.call('HMGET', key('artifact', id), 'meta', 'size')
redis.call('HSET', key('artifact', id), 'expired', '1')
redis.call('ZREM', key('artifacts'), id)
redis.call('HINCRBYFLOAT', key('totals'), 'artifact_bytes', -tonumber(held[2]))
return {'ok', held[1]}
