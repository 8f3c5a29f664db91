-- Record that an artifact is used now.   KEYS[1] the artifacts by use   ARGV: key prefix, artifact id
return redis.call('ZADD', KEYS[1], 'XX', clock(), ARGV[2])
