-- Begin a batch, if there is room for all of its jobs: those that follow look whether it is there.
-- KEYS[1] the batch   ARGV: key prefix, record, size, how many jobs may be queued ('' for any number)
-- Answer: 1, or 0 when the queue is too full
local prefix, record, size, most = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
if most and redis.call('ZCARD', prefix .. 'index:state:queued') + size > most then return 0 end
redis.call('HSET', KEYS[1], 'record', record, 'size', size, 'progress', 0)
return 1
