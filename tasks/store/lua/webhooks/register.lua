-- Record an endpoint of an owner.
-- ARGV: key prefix, id, owner, url, events (words), most of one owner.   Answer: 1, or 0 when there are too many
local id, owner, own = ARGV[2], ARGV[3], hook('endpoints', ARGV[3])
if redis.call('ZCARD', own) >= tonumber(ARGV[6]) then return 0 end
redis.call('HSET', hook('endpoint', id), 'owner', owner, 'url', ARGV[4], 'events', ARGV[5], 'registered', '1', 'created_at', clock())
redis.call('ZADD', own, 0, id)
return 1
