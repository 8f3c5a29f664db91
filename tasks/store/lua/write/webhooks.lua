-- Who is told of the end of a job or batch: an entry for each is written with the end itself.
local MOST_OPEN = 20000  -- of one owner: a dead endpoint must not fill the store

local function names(events, event)
  for _, name in ipairs(events) do
    if name == event then return true end
  end
  return false
end

local function record_delivery(about, number, target, at)
  local id = about.event_id .. '-' .. number
  redis.call('HSET', hook('delivery', id), 'endpoint', target.endpoint, 'url', target.url, 'owner', about.owner,
    'type', about.type, 'subject', about.id, 'at', at, 'since', at, 'attempts', 0, 'doc', about.document)
  redis.call('ZADD', hook('deliveries', about.owner), 0, id)
  if redis.call('HINCRBY', hook('open_of'), about.owner, 1) <= MOST_OPEN then queue_up(id, target.endpoint, at)
  else
    local tries = {{at = at, error = 'too many deliveries wait already', seconds = 0}}
    redis.call('HSET', hook('delivery', id), 'tries', cjson.encode(tries))
    end_delivery(id, about.owner, 'failed', at)
  end
end

-- `about` is the event: event_id, owner, type, id (of the job or batch), document.
local function tell(about, own, at)
  local number = 0
  for _, target in ipairs(own) do
    if names(target.events, about.type) then
      number = number + 1
      local endpoint = hook('endpoint', target.endpoint)
      redis.call('HSET', endpoint, 'owner', about.owner)
      redis.call('EXPIRE', endpoint, KEPT_SECONDS)
      record_delivery(about, number, target, at)
    end
  end
  for _, registered in ipairs(redis.call('ZRANGE', hook('endpoints', about.owner), 0, -1)) do
    local got = redis.call('HMGET', hook('endpoint', registered), 'url', 'events', 'disabled')
    if got[1] and not got[3] and names(words(got[2]), about.type) then
      number = number + 1
      record_delivery(about, number, {endpoint = registered, url = got[1]}, at)
    end
  end
end

local function tell_of_job(new, at)
  if not new.event_id or not FINAL[new.state] or new.old.state == new.state then return end
  local about = {event_id = new.event_id, owner = new.owner, type = 'job.' .. new.state, id = new.id, document = new.document}
  tell(about, {new.webhook}, at)
end

-- `finished`: the job was the last one of its batch.
local function tell_of_batch(new, finished, at)
  if not finished or not new.batch_event_id then return end
  local batch = redis.call('HGETALL', key('batch', new.batch))
  local facts, own = {}, {}
  for index = 1, #batch, 2 do facts[batch[index]] = batch[index + 1] end
  if facts.webhooks then own = cjson.decode(facts.webhooks) end
  facts.webhooks = nil
  local about = {event_id = new.batch_event_id, owner = new.owner, type = 'batch.finished', id = new.batch, document = cjson.encode(facts)}
  tell(about, own, at)
end
