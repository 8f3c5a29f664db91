-- Create or change one job record, with every index, counter and reference that goes with it.
-- KEYS[1] the job   ARGV: key prefix, change (JSON), record, public document, and for a job that
-- may follow another: record and document with `change.placeholder` where the other's id belongs
-- Answer: {place, revision} | {"full"} | {"conflict"} | {"cancelled"} | {"no source"} | {"follows", leader}
local prefix, change = ARGV[1], cjson.decode(ARGV[2])
local function key(...) return prefix .. table.concat({...}, ':') end
local job, id, kind = KEYS[1], change.id, change.kind
local time = redis.call('TIME')
local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
local old = redis.call('HMGET', job, 'state', 'revision', 'token', 'cancel', 'place', 'progress', 'lease_until', 'priority')
local old_state, revision, token, cancel = old[1], tonumber(old[2] or 0), old[3], old[4]
local old_place, old_progress, lease_until = old[5], tonumber(old[6] or 0), tonumber(old[7] or 0)
local final = {succeeded = true, failed = true, cancelled = true}

-- Whoever comes to a list of turns has had as many as the one who had fewest: no more, no less.
local function join(turns, name)
  if redis.call('ZSCORE', turns, name) then return end
  local first = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
  redis.call('ZADD', turns, first[2] or 0, name)
end

-- An owner's list tells how long the next job of each of his batches has waited.
local function head_changed(of_kind, owner, name)
  local head = redis.call('ZRANGE', key('ready', of_kind, owner, name), 0, 0, 'WITHSCORES')
  if head[2] then redis.call('ZADD', key('oldest', of_kind, owner), head[2], name)
  else
    redis.call('ZREM', key('oldest', of_kind, owner), name)
    redis.call('ZREM', key('lanes', of_kind, owner), name)
  end
end

-- Whoever waits lends his urgency to whom he waits for, and to whom that one waits for.
local MOST_LENT = 10
local function lend(to, priority)
  for _ = 1, MOST_LENT do
    local got = redis.call('HMGET', key('job', to), 'place', 'priority', 'kind', 'owner', 'lane', 'parent')
    local its_place, its_priority = got[1], tonumber(got[2])
    if not its_place or its_place == 'final' or its_priority >= priority then return end
    redis.call('HSET', key('job', to), 'priority', priority)
    if its_place == 'ready' then
      local lane = got[5] or '-'
      local ahead = (priority - its_priority) * change.priority_seconds
      redis.call('ZINCRBY', key('ready', got[3], got[4], lane), -ahead, to)
      return head_changed(got[3], got[4], lane)
    end
    to = got[6]
    if not to or to == '' then return end
  end
end

-- A download that we made for clips, and that none of them needs, is written down for who looks after it.
local function note_need(of, implied, open)
  if implied and open and redis.call('SCARD', key('dependents', of)) == 0 then
    redis.call('ZADD', key('unneeded'), 'NX', now, of)
  else redis.call('ZREM', key('unneeded'), of) end
end
local function needed_less(of)
  local got = redis.call('HMGET', key('job', of), 'implied', 'place')
  note_need(of, got[1] == '1', got[2] ~= 'final')
end

-- 0. A writer whose answer was lost on the way asks again: it is done already.
if redis.call('HGET', job, 'write') == change.write then return {old_place, revision} end

-- 1. May this writer change it?
if change.create then
  if old_state then return {'conflict'} end
  -- Jobs of a batch have their room when the batch was begun, all of them or none.
  if change.in_batch and redis.call('HEXISTS', key('batch', change.batch), 'record') == 0 then return {'full'} end
elseif not old_state then
  return {'conflict'}
elseif change.expect_token then
  if token ~= change.expect_token then return {'conflict'} end
elseif revision ~= change.expect_revision
  or (change.lease_expired and (old_place ~= 'leased' or lease_until > now)) then
  return {'conflict'}
end
-- Who is retried needs room as a new job does.
if change.most_queued and (change.create or final[old_state])
  and redis.call('ZCARD', key('index', 'state', 'queued')) >= change.most_queued then
  return {'full'}
end
-- A cancel that was accepted holds whoever writes next: the worker or, after it, the housekeeper.
if cancel == '1' and change.state ~= 'cancelled' then return {'cancelled'} end

for _, artifact in ipairs(change.artifacts or {}) do
  if not artifact.new then
    local held = redis.call('HMGET', key('artifact', artifact.id), 'meta', 'expired')
    if not held[1] or held[2] then return {'gone'} end
  end
end

-- Whom it shall wait for may have been deleted since that was planned: then it is planned again.
-- Whoever is waited for cannot be; and a worker that holds a job finds out by itself.
if change.depends_on and not final[change.state] and not change.expect_token
  and redis.call('EXISTS', key('job', change.depends_on)) == 0 then
  return {'no source'}
end

-- 2. Equal work runs once: the first is the leader, later ones wait for it.
local parent, place, record, document = change.depends_on, change.place, ARGV[3], ARGV[4]
if change.flight and not change.expect_token then
  local flight = key('flight', change.flight)
  local leader = redis.call('GET', flight)
  local leader_state = leader and redis.call('HGET', key('job', leader), 'state')
  if leader and leader ~= id and leader_state and leader_state ~= 'failed' and leader_state ~= 'cancelled' then
    if leader ~= parent then
      if not change.placeholder then return {'follows', leader} end
      parent, place = leader, 'waiting'
      record = string.gsub(ARGV[5], change.placeholder, leader)
      document = string.gsub(ARGV[6], change.placeholder, leader)
    end
  else
    redis.call('SET', flight, id)
  end
end

-- 3. What it waits for may be over already.
if place == 'waiting' then
  local parent_state = redis.call('HGET', key('job', parent), 'state')
  if not parent_state or parent_state == 'succeeded' then place = 'ready'
  elseif final[parent_state] then redis.call('SADD', key('ended'), parent) end  -- to be settled again
end

-- 4. The record. Who waits for it may have made it more urgent than its own document says.
local urgency, lane_name = change.priority, change.lane or '-'
if old_place and old_place ~= 'final' then urgency = math.max(urgency, tonumber(old[8])) end
revision = revision + 1
local lease_end = change.lease_seconds and now + change.lease_seconds or 0
redis.call('HSET', job, 'record', record, 'doc', document, 'state', change.state, 'revision', revision,
  'write', change.write, 'token', change.token or '', 'place', place, 'progress', change.progress, 'kind', kind,
  'owner', change.owner, 'priority', urgency, 'lane', lane_name, 'parent', parent or '', 'implied', change.implied and '1' or '', 'code', change.code or '', 'lease_until', lease_end, 'external', change.external or '', 'batch', change.batch or '')
if final[change.state] then redis.call('HDEL', job, 'cancel') end

-- 5. Its place: exactly one of ready, delayed, waiting, leased, final.
local lane = key('ready', kind, change.owner, lane_name)
if old_place == 'ready' then redis.call('ZREM', lane, id)
elseif old_place == 'delayed' then redis.call('ZREM', key('delayed'), id)
elseif old_place == 'leased' then redis.call('ZREM', key('leases'), id) end
if place == 'ready' then
  redis.call('ZADD', lane, change.score - (urgency - change.priority) * change.priority_seconds, id)
  join(key('lanes', kind), change.owner)
  join(key('lanes', kind, change.owner), lane_name)
elseif place == 'delayed' then redis.call('ZADD', key('delayed'), change.not_before, id)
elseif place == 'leased' then redis.call('ZADD', key('leases'), lease_end, id) end
if old_place == 'ready' or place == 'ready' then head_changed(kind, change.owner, lane_name) end

-- 6. Indexes.
if change.create then
  redis.call('ZADD', key('index', 'all'), 0, id)
  redis.call('ZADD', key('index', 'owner', change.owner), 0, id)
  redis.call('ZADD', key('index', 'kind', kind), 0, id)
  if change.batch then redis.call('ZADD', key('index', 'batch', change.batch), 0, id) end
  if change.external then redis.call('ZADD', key('index', 'external', change.external), 0, id) end
end
if old_state ~= change.state then
  if old_state then redis.call('ZREM', key('index', 'state', old_state), id) end
  redis.call('ZADD', key('index', 'state', change.state), 0, id)
end
if not final[change.state] then redis.call('ZREM', key('final'), id)
elseif not final[old_state] then redis.call('ZADD', key('final'), now, id) end
if change.state == 'queued' then redis.call('ZADD', key('queued', kind), change.queued_at, id)
else redis.call('ZREM', key('queued', kind), id) end
if change.state == 'running' then redis.call('SADD', key('running', kind), id)
else redis.call('SREM', key('running', kind), id) end

-- 7. Who waits for whom.
if change.leaves then
  redis.call('SREM', key('dependents', change.leaves), id)
  needed_less(change.leaves)
end
if parent then
  local dependents = key('dependents', parent)
  if final[change.state] then redis.call('SREM', dependents, id)
  else
    redis.call('SADD', dependents, id)
    lend(parent, urgency)
  end
  needed_less(parent)
end
note_need(id, change.implied, not final[change.state])
if not final[change.state] then redis.call('SREM', key('ended'), id)
elseif redis.call('SCARD', key('dependents', id)) > 0 then redis.call('SADD', key('ended'), id) end

-- 8. Artifacts and what can be answered from storage.
local shown = {}
for _, artifact in ipairs(change.artifacts or {}) do
  table.insert(shown, artifact.id)
  redis.call('HSET', key('artifact', artifact.id), 'meta', artifact.meta, 'size', artifact.size_bytes)
  redis.call('SADD', key('artifact', artifact.id, 'jobs'), id)
  redis.call('ZADD', key('artifacts'), now, artifact.id)
  if artifact.new then redis.call('HINCRBYFLOAT', key('totals'), 'artifact_bytes', artifact.size_bytes) end
end
if #shown > 0 then redis.call('HSET', job, 'artifacts', table.concat(shown, ' ')) end
if change.cache_key then
  redis.call('SET', key('cache', change.cache_key), id)
  redis.call('HSET', job, 'cache_key', change.cache_key)
end
if change.flight then redis.call('HSET', job, 'flight', change.flight) end

-- 9. The batch.
if change.batch then
  local batch = key('batch', change.batch)
  if old_state ~= change.state then
    if old_state then redis.call('HINCRBY', batch, 'n:' .. old_state, -1) end
    redis.call('HINCRBY', batch, 'n:' .. change.state, 1)
    local open = tonumber(redis.call('HGET', batch, 'n:queued') or 0) + tonumber(redis.call('HGET', batch, 'n:running') or 0)
    if open == 0 then redis.call('HSET', batch, 'finished_at', now)
    else redis.call('HDEL', batch, 'finished_at') end
  end
  redis.call('HINCRBYFLOAT', batch, 'progress', change.progress - old_progress)
  redis.call('HINCRBY', batch, 'revision', 1)
  redis.call('PUBLISH', key('changes'), change.batch)
end

-- 10. Numbers, and word to those who watch.
for name, amount in pairs(change.counters or {}) do
  redis.call('HINCRBYFLOAT', key('counters'), name, amount)
end
if change.event then
  change.event.at = now
  redis.call('RPUSH', key('timeline', id), cjson.encode(change.event))
  redis.call('LTRIM', key('timeline', id), -200, -1)
end
redis.call('PUBLISH', key('changes'), id)
return {place, revision}
