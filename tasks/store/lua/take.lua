-- Give one ready job of a kind to a worker under a lease; it stays queued until it is claimed.
-- Owners take turns, so that nobody's thousand jobs hold up another's one.
-- ARGV: key prefix, kind, lease token, lease seconds.   Answer: {record, revision} or nothing
local prefix, kind, token, seconds = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local function key(...) return prefix .. table.concat({...}, ':') end
local lanes = key('lanes', kind)
while true do
  local owner = redis.call('ZRANGE', lanes, 0, 0)[1]
  if not owner then return false end
  local id = redis.call('ZPOPMIN', key('ready', kind, owner))[1]
  if id then
    redis.call('ZINCRBY', lanes, 1, owner)
    local time = redis.call('TIME')
    local lease_until = tonumber(time[1]) + tonumber(time[2]) / 1000000 + seconds
    local job = key('job', id)
    redis.call('HSET', job, 'token', token, 'lease_until', lease_until, 'place', 'leased')
    redis.call('ZADD', key('leases'), lease_until, id)
    return {redis.call('HGET', job, 'record'), redis.call('HGET', job, 'revision')}
  end
  redis.call('ZREM', lanes, owner)
end
