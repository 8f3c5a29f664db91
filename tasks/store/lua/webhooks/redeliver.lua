-- Send ended deliveries again, under the same id.
-- ARGV: key prefix, then the deliveries.   Answer: for each its state before, or `disabled`
local at, answer = clock(), {}
for index = 2, #ARGV do
  local id = ARGV[index]
  local delivery = hook('delivery', id)
  local got = redis.call('HMGET', delivery, 'state', 'endpoint', 'owner')
  local state = got[1] or ''
  if state == 'delivered' or state == 'failed' then
    local name = hook('endpoint', got[2])
    local of_server = string.sub(got[2], 1, 1) == 's'
    if redis.call('HEXISTS', name, 'disabled') == 1 or (not of_server and redis.call('EXISTS', name) == 0) then state = 'disabled'
    else
      if of_server then
        redis.call('HSET', name, 'owner', got[3])
        redis.call('EXPIRE', name, KEPT_SECONDS)
      end
      redis.call('ZREM', hook('ended'), id)
      redis.call('HDEL', delivery, 'ended_at')
      redis.call('HINCRBY', hook('open_of'), got[3], 1)
      redis.call('HSET', delivery, 'since', at, 'attempts', 0)
      queue_up(id, got[2], at)
    end
  end
  table.insert(answer, state)
end
return answer
