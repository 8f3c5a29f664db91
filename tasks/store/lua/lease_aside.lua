-- Lease a job that was set aside to a worker that can read it.
-- KEYS[1] the job   ARGV: key prefix, id, lease token, lease seconds   Answer: the record, or nothing
local id, job, token = ARGV[2], KEYS[1], ARGV[3]
local got = redis.call('HMGET', job, 'stage', 'kind', 'state', 'owner')
if got[1] ~= 'aside' or got[3] ~= 'queued' then return false end
local lease_until = clock() + tonumber(ARGV[4])
redis.call('ZREM', key('aside', got[2]), id)
redis.call('HSET', job, 'token', token, 'lease_until', lease_until, 'stage', 'leased')
redis.call('ZADD', key('leases'), lease_until, id)
count_leased(got[4], 1)
return redis.call('HGET', job, 'record')
