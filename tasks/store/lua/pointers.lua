-- Names of work, each pointing to the job that does the work (flight) or has its artifacts (cache).
local function drop_pointers(id, cache_key, flight)
  for space, name in pairs({cache = cache_key or nil, flight = flight or nil}) do
    if redis.call('GET', key(space, name)) == id then redis.call('DEL', key(space, name)) end
  end
end
