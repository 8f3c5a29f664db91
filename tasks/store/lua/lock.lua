-- Acquire or renew a lock that expires.   KEYS[1] the lock   ARGV: key prefix, holder, milliseconds
-- Answer: 1 when the holder has the lock, 0 when another holder has it
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
