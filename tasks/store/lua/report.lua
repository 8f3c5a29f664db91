-- A worker is there.   KEYS[1] its report, [2] the workers
-- ARGV: key prefix, id, report, seconds to keep it, time
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4])
return redis.call('ZADD', KEYS[2], ARGV[5], ARGV[2])
