-- Deliveries of webhooks: each waits in the queue of its endpoint, and each endpoint with a queue is in
-- one of two lines by the time of its next delivery. An endpoint that failed last is in the line
-- `failing`: it gets one try at a time, and few places of a sender, so that it delays no other.
local MOST_FLYING = 4
local KEPT_SECONDS = 172800  -- a server that single jobs name, after the last of them

local function hook(...) return key('webhook', ...) end

-- Put an endpoint into its line, or into none.
local function line_up(endpoint)
  redis.call('ZREM', hook('due'), endpoint)
  redis.call('ZREM', hook('failing'), endpoint)
  if redis.call('SISMEMBER', hook('dropping'), endpoint) == 1 then return end
  local got = redis.call('HMGET', hook('endpoint', endpoint), 'failures', 'paused_until')
  local fails = tonumber(got[1] or 0) > 0
  if redis.call('SCARD', hook('flying', endpoint)) >= (fails and 1 or MOST_FLYING) then return end
  local head = redis.call('ZRANGE', hook('queue', endpoint), 0, 0, 'WITHSCORES')
  if not head[1] then return end
  local due = math.max(tonumber(head[2]), tonumber(got[2] or 0))
  redis.call('ZADD', hook(fails and 'failing' or 'due'), due, endpoint)
end

-- Let a delivery wait for its next try, or for its first.
local function queue_up(id, endpoint, due)
  redis.call('HSET', hook('delivery', id), 'state', 'waiting', 'due', due)
  redis.call('ZADD', hook('queue', endpoint), due, id)
  line_up(endpoint)
end

-- A sender does not hold the delivery any more.
local function land(id, endpoint, owner)
  redis.call('ZREM', hook('leases'), id)
  redis.call('SREM', hook('flying', endpoint), id)
  redis.call('HDEL', hook('delivery', id), 'token')
  if redis.call('HINCRBY', hook('flying_of'), owner, -1) <= 0 then redis.call('HDEL', hook('flying_of'), owner) end
end

-- A delivery has ended: `delivered` or `failed`.
local function end_delivery(id, owner, state, at)
  redis.call('HSET', hook('delivery', id), 'state', state, 'ended_at', at)
  redis.call('HDEL', hook('delivery', id), 'due')
  redis.call('ZADD', hook('ended'), at, id)
  if redis.call('HINCRBY', hook('open_of'), owner, -1) <= 0 then redis.call('HDEL', hook('open_of'), owner) end
  redis.call('HINCRBYFLOAT', key('counters'), 'webhook_deliveries_total{outcome=' .. state .. '}', 1)
end
