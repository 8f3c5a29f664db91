-- What is written beside the jobs of a submission: its batch, and the name that its client gave it.

-- What was accepted under this name before; nil when nothing was.
local function accepted_before(idempotency)
  return idempotency and redis.call('GET', key('idempotency', idempotency.name)) or nil
end

local function put_submission(submission)
  local batch, idempotency = submission.batch, submission.idempotency
  if batch then
    redis.call('HSET', key('batch', batch.id), 'record', batch.record, 'size', batch.size, 'progress', 0)
  end
  if idempotency then
    redis.call('SET', key('idempotency', idempotency.name), idempotency.accepted, 'EX', idempotency.seconds)
  end
end
