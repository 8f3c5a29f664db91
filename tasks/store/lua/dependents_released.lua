-- The dependents of a final job are released: take the job off the list `to_release`.
-- KEYS[1] the job   ARGV: key prefix, id.   Answer: 1, or 0 if another job waits for it now
local id = ARGV[2]
local state = redis.call('HGET', KEYS[1], 'state')
-- A dependent of a succeeded job does not wait; after any other end it must still be released.
if state and state ~= 'succeeded' and redis.call('EXISTS', key('dependents', id)) == 1 then return 0 end
redis.call('SREM', key('to_release'), id)
return 1
