-- Every script begins with this part.   ARGV[1] the prefix of all keys
local PREFIX = ARGV[1]
local FINAL = {succeeded = true, failed = true, cancelled = true}

local function key(...) return PREFIX .. table.concat({...}, ':') end

-- Seconds since 1970 by the store's own clock: the clocks of clients may be wrong.
local function clock()
  local time = redis.call('TIME')
  return tonumber(time[1]) + tonumber(time[2]) / 1000000
end

-- How many jobs of an owner workers hold.
local function count_leased(owner, more)
  if redis.call('HINCRBY', key('leased_by_owner'), owner, more) <= 0 then redis.call('HDEL', key('leased_by_owner'), owner) end
end

local function words(text)
  local found = {}
  for word in string.gmatch(text or '', '%S+') do table.insert(found, word) end
  return found
end
