-- The artifacts of a job's result, and the names of the work that the job does or has done.
local function note_artifacts(new, at)
  local shown = {}
  for _, artifact in ipairs(new.artifacts or {}) do
    table.insert(shown, artifact.id)
    redis.call('HSET', key('artifact', artifact.id), 'meta', artifact.meta, 'size', artifact.size_bytes)
    redis.call('SADD', key('artifact', artifact.id, 'jobs'), new.id)
    redis.call('ZADD', key('artifacts'), at, artifact.id)
    if artifact.new then redis.call('HINCRBYFLOAT', key('totals'), 'artifact_bytes', artifact.size_bytes) end
  end
  if #shown > 0 then redis.call('HSET', new.job, 'artifacts', table.concat(shown, ' ')) end
  if new.cache_key then
    redis.call('SET', key('cache', new.cache_key), new.id)
    redis.call('HSET', new.job, 'cache_key', new.cache_key)
  end
  if new.flight then redis.call('HSET', new.job, 'flight', new.flight) end
end
