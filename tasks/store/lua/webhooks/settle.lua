-- Record how a try ended. A sender that lost its lease changes nothing.
-- ARGV: key prefix, delivery, lease token, what became of it (`delivered`, `again`, `failed` or `gone`),
-- the tries so far (JSON), seconds until the next try, seconds in which its endpoint gets none
-- Answer: 1, or 0 when another sender has the delivery
local id, token, became, tries = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local delivery, at = hook('delivery', id), clock()
local got = redis.call('HMGET', delivery, 'token', 'endpoint', 'owner')
local endpoint, owner = got[2], got[3]
if got[1] ~= token then return 0 end
land(id, endpoint, owner)
redis.call('HINCRBY', delivery, 'attempts', 1)
redis.call('HSET', delivery, 'tries', tries)
local name = hook('endpoint', endpoint)
if redis.call('EXISTS', name) == 1 then
  if became == 'delivered' then redis.call('HDEL', name, 'failures', 'paused_until')
  else
    redis.call('HINCRBY', name, 'failures', 1)
    redis.call('HSET', name, 'paused_until', at + tonumber(ARGV[7]))
  end
  if became == 'gone' and redis.call('HEXISTS', name, 'registered') == 1 then
    redis.call('HSET', name, 'disabled', 'it answered 410 Gone')
    redis.call('SADD', hook('dropping'), endpoint)
  end
end
if became == 'again' then queue_up(id, endpoint, at + tonumber(ARGV[6]))
else
  end_delivery(id, owner, became == 'delivered' and 'delivered' or 'failed', at)
  line_up(endpoint)
end
return 1
