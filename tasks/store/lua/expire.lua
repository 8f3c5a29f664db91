-- Expire an artifact that was not used after a given time; its record stays, marked as expired.
-- ARGV: key prefix, artifact id, the time, or instead of it "lost": the file is gone already
-- Answer: {"ok", meta} | {"used"} | {"pinned"} (it is the source of a job that is not final)
local id, unused_since, lost = ARGV[2], tonumber(ARGV[3]), ARGV[3] == 'lost'
local used = redis.call('ZSCORE', key('artifacts'), id)
if not used or not lost and tonumber(used) > unused_since then return {'used'} end
local jobs = redis.call('SMEMBERS', key('artifact', id, 'jobs'))
for _, job in ipairs(jobs) do
  if not lost and redis.call('EXISTS', key('dependents', job)) == 1 then return {'pinned'} end
end
-- From now on equal work must run again, and not wait for a file that is gone.
for _, job in ipairs(jobs) do
  local got = redis.call('HMGET', key('job', job), 'cache_key', 'flight')
  drop_pointers(job, got[1], got[2])
end
local held = redis.call('HMGET', key('artifact', id), 'meta', 'size')
redis.call('HSET', key('artifact', id), 'expired', '1')
redis.call('ZREM', key('artifacts'), id)
redis.call('HINCRBYFLOAT', key('totals'), 'artifact_bytes', -tonumber(held[2]))
return {'ok', held[1]}
