-- Give due deliveries to a sender, one of each endpoint, the ones that waited longest first.
-- ARGV: key prefix, lease token, lease seconds, free places, free places for endpoints that failed last,
-- most of one owner at once.   Answer: id, line (0 or 1: of
-- those that failed last), fields of the delivery, for each
local token, seconds = ARGV[2], tonumber(ARGV[3])
local MOST_LOOKED_AT, LATER_SECONDS = 200, 1
local at, answer = clock(), {}

local function take(endpoint, fails)
  local id = redis.call('ZRANGE', hook('queue', endpoint), 0, 0)[1]
  if not id then return end
  local delivery = hook('delivery', id)
  redis.call('ZREM', hook('queue', endpoint), id)
  redis.call('SADD', hook('flying', endpoint), id)
  redis.call('HINCRBY', hook('flying_of'), redis.call('HGET', delivery, 'owner'), 1)
  redis.call('ZADD', hook('leases'), at + seconds, id)
  redis.call('HSET', delivery, 'state', 'sending', 'token', token)
  table.insert(answer, id)
  table.insert(answer, fails)
  table.insert(answer, redis.call('HGETALL', delivery))
end

local function take_from(line, fails, places)
  local most_of_owner = tonumber(ARGV[6])
  for _, endpoint in ipairs(redis.call('ZRANGEBYSCORE', line, '-inf', at, 'LIMIT', 0, MOST_LOOKED_AT)) do
    if places <= 0 then return end
    local owner = redis.call('HGET', hook('endpoint', endpoint), 'owner') or ''
    if tonumber(redis.call('HGET', hook('flying_of'), owner) or 0) >= most_of_owner then
      redis.call('ZADD', line, at + LATER_SECONDS, endpoint)
    else
      take(endpoint, fails)
      line_up(endpoint)
      places = places - 1
    end
  end
end

local places, for_failing = tonumber(ARGV[4]), tonumber(ARGV[5])
take_from(hook('due'), 0, places)
take_from(hook('failing'), 1, math.min(for_failing, places - #answer / 3))
return answer
