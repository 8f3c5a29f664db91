-- Renew leases.   ARGV: key prefix, lease seconds, then the id and token of each.
-- Answer: for each "held", "cancel" (the client asked to stop) or "lost" (the token is not valid now)
local lease_until = clock() + tonumber(ARGV[2])
local answers = {}
for index = 3, #ARGV, 2 do
  local id, job = ARGV[index], key('job', ARGV[index])
  local held = redis.call('HMGET', job, 'token', 'cancel')
  if held[1] ~= ARGV[index + 1] then
    table.insert(answers, 'lost')
  else
    redis.call('HSET', job, 'lease_until', lease_until)
    redis.call('ZADD', key('leases'), lease_until, id)
    table.insert(answers, held[2] == '1' and 'cancel' or 'held')
  end
end
return answers
