-- What a job really took, beside the model's word for its shape.   KEYS[1] the peaks
-- ARGV: prefix, shape, ratio seen, patience, step down, least, most, number of shapes kept
-- A field holds the factor and how many jobs in a row stayed below it. Answer: the factor, as text.
local shape, seen = ARGV[2], tonumber(ARGV[3])
local patience, step = tonumber(ARGV[4]), tonumber(ARGV[5])
local least, most, kept = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local found = redis.call('HGET', KEYS[1], shape)
local factor, below = 1, 0
if found then
  local at = string.find(found, ' ', 1, true)
  factor, below = tonumber(string.sub(found, 1, at - 1)), tonumber(string.sub(found, at + 1))
elseif redis.call('HLEN', KEYS[1]) >= kept then
  redis.call('HDEL', KEYS[1], redis.call('HRANDFIELD', KEYS[1]))
end
if seen > factor then
  factor, below = seen, 0
else
  below = below + 1
  if below > patience then factor = factor - step * (factor - seen) end
end
factor = math.max(least, math.min(most, factor))
redis.call('HSET', KEYS[1], shape, string.format('%.4f %d', factor, below))
return string.format('%.4f', factor)
