-- A worker is there, at this time of the store's clock: its own may be wrong.
-- KEYS[1] its report, [2] the workers   ARGV: key prefix, id, report, seconds to keep it
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4])
return redis.call('ZADD', KEYS[2], clock(), ARGV[2])
