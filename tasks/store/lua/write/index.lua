-- The indexes by which jobs are found and counted.

local function index_new(new)
  redis.call('ZADD', key('index', 'all'), 0, new.id)
  redis.call('ZADD', key('index', 'owner', new.owner), 0, new.id)
  redis.call('ZADD', key('index', 'kind', new.kind), 0, new.id)
  if new.batch then redis.call('ZADD', key('index', 'batch', new.batch), 0, new.id) end
  if new.external then redis.call('ZADD', key('index', 'external', new.external), 0, new.id) end
end

local function change_indexes(new, old, at)
  if not old.state then index_new(new) end
  if old.state ~= new.state then
    if old.state then redis.call('ZREM', key('index', 'state', old.state), new.id) end
    redis.call('ZADD', key('index', 'state', new.state), 0, new.id)
  end
  local more = (new.state == 'queued' and 1 or 0) - (old.state == 'queued' and 1 or 0)
  if more ~= 0 and redis.call('HINCRBY', key('queued_by_owner'), new.owner, more) == 0 then
    redis.call('HDEL', key('queued_by_owner'), new.owner)
  end
  if not FINAL[new.state] then redis.call('ZREM', key('final'), new.id)
  elseif not FINAL[old.state] then redis.call('ZADD', key('final'), at, new.id) end
  if new.state == 'queued' then redis.call('ZADD', key('queued', new.kind), new.queued_at, new.id)
  else redis.call('ZREM', key('queued', new.kind), new.id) end
  if new.state == 'running' then redis.call('SADD', key('running', new.kind), new.id)
  else redis.call('SREM', key('running', new.kind), new.id) end
end
