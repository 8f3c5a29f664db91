-- What is written beside the jobs of a submission: its batch and its idempotency key.

-- What was accepted under this key before; nil for a new key.
local function accepted_before(idempotency)
  return idempotency and redis.call('GET', key('idempotency', idempotency.name)) or nil
end

local function put_submission(submission)
  local batch, idempotency = submission.batch, submission.idempotency
  if batch then
    redis.call('HSET', key('batch', batch.id), 'record', batch.record, 'size', batch.size, 'progress', 0)
    redis.call('ZADD', key('index', 'batches'), 0, batch.id)
    redis.call('ZADD', key('index', 'batches', batch.owner), 0, batch.id)
    if batch.webhooks ~= '[]' then redis.call('HSET', key('batch', batch.id), 'webhooks', batch.webhooks) end
  end
  if idempotency then
    redis.call('SET', key('idempotency', idempotency.name), idempotency.accepted, 'EX', idempotency.seconds)
  end
end
