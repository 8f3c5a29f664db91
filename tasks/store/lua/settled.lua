-- The end of a job has been carried over to those who waited for it; forget to do so.
-- KEYS[1] the job   ARGV: key prefix, id.   Answer: 1, or 0 if somebody began to wait meanwhile
local prefix, id = ARGV[1], ARGV[2]
local state = redis.call('HGET', KEYS[1], 'state')
-- Whoever names a job that has succeeded does not wait; of any other end he is still to be told.
if state and state ~= 'succeeded' and redis.call('EXISTS', prefix .. 'dependents:' .. id) == 1 then return 0 end
redis.call('SREM', prefix .. 'ended', id)
return 1
