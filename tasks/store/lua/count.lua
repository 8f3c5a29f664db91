-- Add to counters.
-- KEYS[1] the counters   ARGV: key prefix, then the name and amount of each
for index = 2, #ARGV, 2 do
  redis.call('HINCRBYFLOAT', KEYS[1], ARGV[index], ARGV[index + 1])
end
return 1
