-- Record the peak of a job, divided by the model's estimate for its shape.   KEYS[1] the peaks
-- ARGV: prefix, shape, ratio seen, patience, step down, least, most, number of shapes kept, seconds
-- that they are kept
-- A field holds the factor, how many jobs in a row stayed below it, and the time of the last job.
-- Answer: the factor, as text.
local shape, seen = ARGV[2], tonumber(ARGV[3])
local patience, step = tonumber(ARGV[4]), tonumber(ARGV[5])
local least, most, kept = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local now = math.floor(clock())
local function read(text)
  local factor, below, at = string.match(text or '', '^(%S+) (%d+) (%d+)$')
  if not at or tonumber(at) <= now - tonumber(ARGV[9]) then return nil end
  return tonumber(factor), tonumber(below)
end
local factor, below = read(redis.call('HGET', KEYS[1], shape))
if not factor then
  factor, below = 1, 0
  if redis.call('HLEN', KEYS[1]) >= kept then
    local all = redis.call('HGETALL', KEYS[1])
    for i = 1, #all, 2 do
      if not read(all[i + 1]) then redis.call('HDEL', KEYS[1], all[i]) end
    end
  end
  if redis.call('HLEN', KEYS[1]) >= kept then
    redis.call('HDEL', KEYS[1], redis.call('HRANDFIELD', KEYS[1]))
  end
end
if seen > factor then
  factor, below = seen, 0
else
  below = below + 1
  if below > patience then factor = factor - step * (factor - seen) end
end
factor = math.max(least, math.min(most, factor))
redis.call('HSET', KEYS[1], shape, string.format('%.4f %d %d', factor, below, now))
return string.format('%.4f', factor)
