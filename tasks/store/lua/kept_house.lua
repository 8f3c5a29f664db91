-- A housekeeper has looked at everything.   KEYS[1] the totals, [2] the counters
local time = redis.call('TIME')
redis.call('HSET', KEYS[1], 'housekeeper_round_at', tonumber(time[1]) + tonumber(time[2]) / 1000000)
return redis.call('HINCRBYFLOAT', KEYS[2], 'housekeeper_rounds_total', 1)
