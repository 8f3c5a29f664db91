-- Counters, the timeline of the job, and the notification of watchers.
local function report_change(new, at)
  for name, amount in pairs(new.counters or {}) do
    redis.call('HINCRBYFLOAT', key('counters'), name, amount)
  end
  if new.used and not FINAL[new.old.state] then
    local use = key('use', new.owner, string.format('%d', math.floor(at / 86400)))
    redis.call('HINCRBYFLOAT', use, 'bytes', new.used.bytes)
    redis.call('HINCRBYFLOAT', use, 'seconds', new.used.seconds)
    redis.call('EXPIRE', use, 172800)
  end
  if new.event then
    new.event.at = at
    redis.call('RPUSH', key('timeline', new.id), cjson.encode(new.event))
    redis.call('LTRIM', key('timeline', new.id), -200, -1)
  end
  redis.call('PUBLISH', key('changes'), new.id)
end
