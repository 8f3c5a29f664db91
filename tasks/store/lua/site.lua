-- The circuit breaker of a site.   KEYS[1] the site
-- ARGV: prefix, "ask", probe seconds      Answer: seconds to wait, as text; "0" to send requests
--       prefix, "refused", first, longest seconds   The site throttled a job
local now = clock()
local got = redis.call('HMGET', KEYS[1], 'refusals', 'until', 'probing')
local refusals, closed_until, probing = tonumber(got[1] or 0), tonumber(got[2] or 0), got[3] == '1'
if ARGV[2] == 'ask' then
  if refusals == 0 then return '0' end
  if closed_until > now then return tostring(closed_until - now) end
  -- The pause is over: one job may try the site, the other jobs wait for the outcome.
  redis.call('HSET', KEYS[1], 'until', now + tonumber(ARGV[3]), 'probing', '1')
  return '0'
end
-- Of several jobs that were refused at the same time only the first counts.
if closed_until > now and not probing then return '0' end
refusals = refusals + 1
local pause = math.min(tonumber(ARGV[3]) * 2 ^ (refusals - 1), tonumber(ARGV[4]))
redis.call('HSET', KEYS[1], 'refusals', refusals, 'until', now + pause, 'probing', '0')
redis.call('EXPIRE', KEYS[1], math.ceil(2 * tonumber(ARGV[4])))
return tostring(pause)
