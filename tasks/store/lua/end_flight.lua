-- Equal work follows this job no more.   KEYS[1] the flight   ARGV: key prefix, id of the job
if redis.call('GET', KEYS[1]) ~= ARGV[2] then return 0 end
return redis.call('DEL', KEYS[1])
