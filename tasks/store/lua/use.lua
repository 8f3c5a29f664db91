-- An artifact is used now.   KEYS[1] the artifacts by use   ARGV: key prefix, artifact id
local time = redis.call('TIME')
return redis.call('ZADD', KEYS[1], 'XX', tonumber(time[1]) + tonumber(time[2]) / 1000000, ARGV[2])
