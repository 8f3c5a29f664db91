-- The dependents of a job that has ended were released; forget to do so.
-- KEYS[1] the job   ARGV: key prefix, id.   Answer: 1, or 0 if another began to wait meanwhile
local id = ARGV[2]
local state = redis.call('HGET', KEYS[1], 'state')
-- A job that names one that has succeeded does not wait; of any other end it is still to be told.
if state and state ~= 'succeeded' and redis.call('EXISTS', key('dependents', id)) == 1 then return 0 end
redis.call('SREM', key('to_release'), id)
return 1
