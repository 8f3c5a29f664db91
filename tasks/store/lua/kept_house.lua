-- Record that a housekeeper has finished a round.   KEYS[1] the totals, [2] the counters
redis.call('HSET', KEYS[1], 'housekeeper_round_at', clock())
return redis.call('HINCRBYFLOAT', KEYS[2], 'housekeeper_rounds_total', 1)
