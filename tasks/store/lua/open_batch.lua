-- Begin a batch, if there is room for all of its jobs: those that follow look whether it is there.
-- KEYS[1] the batch
-- ARGV: key prefix, record, size, how many jobs may be queued ('' for any number), then the ids of all
-- jobs that they wait for.   Answer: "ok", "full", or "no source" when one of those is gone
-- A writer whose answer was lost on the way asks again: it is done already.
if redis.call('HEXISTS', KEYS[1], 'record') == 1 then return 'ok' end
local record, size, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if most and redis.call('ZCARD', key('index', 'state', 'queued')) + size > most then return 'full' end
for index = 5, #ARGV do
  if redis.call('EXISTS', key('job', ARGV[index])) == 0 then return 'no source' end
end
redis.call('HSET', KEYS[1], 'record', record, 'size', size, 'progress', 0)
return 'ok'
