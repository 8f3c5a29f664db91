-- The batch of a job: counts by state, progress, and when the last job ended.
-- Answer: whether the batch has ended now
local function count_in_batch(new, old, at)
  if not new.batch then return false end
  local batch, finished = key('batch', new.batch), false
  if old.state ~= new.state then
    if old.state then redis.call('HINCRBY', batch, 'n:' .. old.state, -1) end
    redis.call('HINCRBY', batch, 'n:' .. new.state, 1)
    local got = redis.call('HMGET', batch, 'n:queued', 'n:running')
    finished = tonumber(got[1] or 0) + tonumber(got[2] or 0) == 0
    if finished then redis.call('HSET', batch, 'finished_at', at) else redis.call('HDEL', batch, 'finished_at') end
  end
  redis.call('HINCRBYFLOAT', batch, 'progress', new.progress - old.progress)
  redis.call('HINCRBY', batch, 'revision', 1)
  redis.call('PUBLISH', key('changes'), new.batch)
  return finished
end
