-- Keep a client's name for what it submitted, if that was accepted.
-- KEYS[1] the name, [2] the record it made   ARGV: key prefix, what to keep, seconds
if redis.call('EXISTS', KEYS[2]) == 1 then redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3]) end
return 1
