-- Give deliveries whose sender died to the next one, and end those of endpoints that are no more.
-- ARGV: key prefix, how many at most.   Answer: how many were given back
local most, at, found = tonumber(ARGV[2]), clock(), 0
local GIVE_UP_SECONDS = 90000  -- some while after the sender would

local function give_up(id, owner, why)
  local tries = cjson.decode(redis.call('HGET', hook('delivery', id), 'tries') or '[]')
  table.insert(tries, {at = at, error = why, seconds = 0})
  redis.call('HSET', hook('delivery', id), 'tries', cjson.encode(tries))
  end_delivery(id, owner, 'failed', at)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', hook('leases'), '-inf', at, 'LIMIT', 0, most)) do
  local got = redis.call('HMGET', hook('delivery', id), 'endpoint', 'owner', 'since')
  if not got[1] then redis.call('ZREM', hook('leases'), id)
  else
    land(id, got[1], got[2])
    if at > tonumber(got[3]) + GIVE_UP_SECONDS then give_up(id, got[2], 'no sender could send it') else queue_up(id, got[1], at) end
    found = found + 1
  end
end
for _, endpoint in ipairs(redis.call('SRANDMEMBER', hook('dropping'), 1)) do
  local queue = hook('queue', endpoint)
  for _, id in ipairs(redis.call('ZRANGE', queue, 0, most - 1)) do
    redis.call('ZREM', queue, id)
    give_up(id, redis.call('HGET', hook('delivery', id), 'owner'), 'the endpoint was disabled or deleted')
  end
  if redis.call('ZCARD', queue) == 0 and redis.call('SCARD', hook('flying', endpoint)) == 0 then
    redis.call('SREM', hook('dropping'), endpoint)
  end
end
return found
