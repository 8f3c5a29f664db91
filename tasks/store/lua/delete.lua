-- Remove a final job and what only this job refers to.
-- KEYS[1] the job   ARGV: key prefix, id
-- Answer: {"ok", meta of each artifact without a job...} | {"open"} | {"in use"} | {"absent"}
local id, job = ARGV[2], KEYS[1]
local got = redis.call('HMGET', job, 'state', 'owner', 'kind', 'batch', 'external', 'cache_key', 'flight', 'progress', 'artifacts')
local state, owner, kind, batch, external = got[1], got[2], got[3], got[4], got[5]
if not state then return {'absent'} end
if not FINAL[state] then return {'open'} end
if redis.call('SCARD', key('dependents', id)) > 0 then return {'in use'} end
redis.call('DEL', job, key('dependents', id), key('timeline', id))
redis.call('SREM', key('to_release'), id)
redis.call('ZREM', key('final'), id)
for _, name in ipairs({key('index', 'all'), key('index', 'owner', owner), key('index', 'kind', kind), key('index', 'state', state)}) do
  redis.call('ZREM', name, id)
end
if batch and batch ~= '' then
  redis.call('ZREM', key('index', 'batch', batch), id)
  local record = key('batch', batch)
  if redis.call('EXISTS', key('index', 'batch', batch)) == 0 then
    redis.call('DEL', record)
    redis.call('ZREM', key('index', 'batches'), batch)
    redis.call('ZREM', key('index', 'batches', owner), batch)
  else
    redis.call('HINCRBY', record, 'n:' .. state, -1)
    redis.call('HINCRBY', record, 'size', -1)
    redis.call('HINCRBY', record, 'revision', 1)
    redis.call('HINCRBYFLOAT', record, 'progress', -tonumber(got[8]))
  end
end
if external and external ~= '' then redis.call('ZREM', key('index', 'external', external), id) end
drop_pointers(id, got[6], got[7])
local answer = {'ok'}
for _, artifact in ipairs(words(got[9] or '')) do
  local name = key('artifact', artifact)
  redis.call('SREM', name .. ':jobs', id)
  if redis.call('SCARD', name .. ':jobs') == 0 then
    local held = redis.call('HMGET', name, 'meta', 'size', 'expired')
    if held[1] and not held[3] then
      table.insert(answer, held[1])
      redis.call('HINCRBYFLOAT', key('totals'), 'artifact_bytes', -tonumber(held[2]))
    end
    redis.call('DEL', name, name .. ':jobs')
    redis.call('ZREM', key('artifacts'), artifact)
  end
end
redis.call('PUBLISH', key('changes'), id)
return answer
