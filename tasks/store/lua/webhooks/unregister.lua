-- Remove an endpoint; what waits for it ends.   ARGV: key prefix, id, owner.   Answer: 1, or 0 for none
local id, owner = ARGV[2], ARGV[3]
if redis.call('ZREM', hook('endpoints', owner), id) == 0 then return 0 end
redis.call('DEL', hook('endpoint', id))
redis.call('SADD', hook('dropping'), id)
line_up(id)
return 1
