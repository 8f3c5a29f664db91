-- Use a disabled endpoint again.   ARGV: key prefix, id, owner.   Answer: 1, or 0 for none
local id, owner = ARGV[2], ARGV[3]
if not redis.call('ZSCORE', hook('endpoints', owner), id) then return 0 end
redis.call('HDEL', hook('endpoint', id), 'disabled', 'failures', 'paused_until')
redis.call('SREM', hook('dropping'), id)
line_up(id)
return 1
