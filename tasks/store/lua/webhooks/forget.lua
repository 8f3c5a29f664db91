-- Remove deliveries that ended before a time, the first ones first.
-- ARGV: key prefix, time in seconds since 1970, how many at most.   Answer: how many were removed
local found = redis.call('ZRANGEBYSCORE', hook('ended'), '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, id in ipairs(found) do
  local owner = redis.call('HGET', hook('delivery', id), 'owner') or ''
  redis.call('DEL', hook('delivery', id))
  redis.call('ZREM', hook('deliveries', owner), id)
  redis.call('ZREM', hook('ended'), id)
end
return #found
