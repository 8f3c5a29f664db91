-- Record a worker's report at the time of the store's clock: the worker's clock may be wrong.
-- KEYS[1] the report, [2] the workers   ARGV: key prefix, id, report, seconds to keep the report
redis.call('SET', KEYS[1], ARGV[3], 'EX', ARGV[4])
return redis.call('ZADD', KEYS[2], clock(), ARGV[2])
