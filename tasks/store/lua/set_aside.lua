-- Set a job aside that this version of the program cannot read: its holder gives it back, or its lease
-- has expired, or its delay has passed. Its state stays.   KEYS[1] the job   ARGV: key prefix, id, token
-- Answer: 1, or 0 when another worker has the job
local id, job, token = ARGV[2], KEYS[1], ARGV[3]
local got = redis.call('HMGET', job, 'stage', 'token', 'lease_until', 'kind', 'owner')
local stage, at = got[1], clock()
if stage == 'leased' then
  if token ~= '' and got[2] ~= token or token == '' and tonumber(got[3]) > at then return 0 end
elseif stage ~= 'delayed' then return 0 end
if stage == 'leased' then count_leased(got[5], -1) end
redis.call('ZREM', key('leases'), id)
redis.call('ZREM', key('delayed'), id)
redis.call('HSET', job, 'stage', 'aside', 'token', '', 'lease_until', 0)
redis.call('ZADD', key('aside', got[4]), at, id)
return 1
