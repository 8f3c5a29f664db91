-- Give a job to another owner, with its place in the queue and its names of work.
-- KEYS[1] the job   ARGV: key prefix, id, revision, new owner, record, the name of its work as from now
-- on (or ''), then id and meta of each artifact   Answer: `ok`, `leased` or `conflict`
local id, job, owner = ARGV[2], KEYS[1], ARGV[4]
local got = redis.call('HMGET', job, 'revision', 'stage', 'owner', 'kind', 'state', 'fairness_group', 'batch', 'cache_key', 'flight')
local stage, old, kind, group = got[2], got[3], got[4], got[6] or '-'
if stage == 'leased' then return 'leased' end
if got[1] ~= ARGV[3] or stage == 'aside' then return 'conflict' end

local function in_ready(whose) return key('ready', kind, whose, group) end

redis.call('HSET', job, 'owner', owner, 'record', ARGV[5], 'revision', got[1] + 1)
redis.call('ZREM', key('index', 'owner', old), id)
redis.call('ZADD', key('index', 'owner', owner), 0, id)
if got[5] == 'queued' then
  if redis.call('HINCRBY', key('queued_by_owner'), old, -1) <= 0 then redis.call('HDEL', key('queued_by_owner'), old) end
  redis.call('HINCRBY', key('queued_by_owner'), owner, 1)
end
if stage == 'ready' then
  redis.call('ZADD', in_ready(owner), redis.call('ZSCORE', in_ready(old), id), id)
  redis.call('ZREM', in_ready(old), id)
  join_turns(key('turns', kind), owner)
  join_turns(key('turns', kind, owner), group)
  head_changed(kind, old, group)
  head_changed(kind, owner, group)
end
-- Equal work is the new owner's from now on.
drop_pointers(id, got[8], got[9])
redis.call('HDEL', job, 'cache_key', 'flight')
if got[9] and ARGV[6] ~= '' then
  redis.call('SET', key('flight', ARGV[6]), id, 'NX')
  redis.call('HSET', job, 'flight', ARGV[6])
end
for index = 7, #ARGV, 2 do redis.call('HSET', key('artifact', ARGV[index]), 'meta', ARGV[index + 1]) end
if got[7] and got[7] ~= '' then
  local batch = key('batch', got[7])
  local record = cjson.decode(redis.call('HGET', batch, 'record'))
  record.owner = owner
  redis.call('ZREM', key('index', 'batches', old), got[7])
  redis.call('ZADD', key('index', 'batches', owner), 0, got[7])
  redis.call('HSET', batch, 'record', cjson.encode(record))
end
redis.call('PUBLISH', key('changes'), id)
return 'ok'
