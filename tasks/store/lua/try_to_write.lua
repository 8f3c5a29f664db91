-- Whether the server takes a write, as a new job is one: it fails where memory or disk is full.
return redis.call('SET', key('trial'), '1', 'PX', 10000)
