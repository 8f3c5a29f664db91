-- Count a request if no window is full. A window moves: it holds the times of its last requests.
-- ARGV: key prefix, whose, then of each window its seconds and the most requests in it
-- Answer: {1 or 0, then for each window how many requests are left, milliseconds until one more is}
local at = clock()

-- How many of the newest times lie in the window. Times fall from the first entry to the last.
local function count_in(name, since, most)
  local low, high = 0, most
  while low < high do
    local middle = math.floor((low + high) / 2)
    local found = redis.call('LINDEX', name, middle)
    if found and tonumber(found) > since then low = middle + 1 else high = middle end
  end
  return low
end

local allowed, windows, answer = 1, {}, {}
for index = 3, #ARGV, 2 do
  local seconds, most = tonumber(ARGV[index]), tonumber(ARGV[index + 1])
  local window = {name = key('rate', ARGV[2], ARGV[index]), seconds = seconds, most = most}
  window.count = count_in(window.name, at - seconds, most)
  if window.count >= most then allowed = 0 end
  table.insert(windows, window)
end
for _, window in ipairs(windows) do
  if allowed == 1 then
    redis.call('LPUSH', window.name, string.format('%.6f', at))
    redis.call('LTRIM', window.name, 0, window.most - 1)
    redis.call('PEXPIRE', window.name, math.ceil(window.seconds * 1000))
    window.count = window.count + 1
  end
  local wait = 0
  if window.count >= window.most then
    wait = tonumber(redis.call('LINDEX', window.name, window.most - 1)) + window.seconds - at
  end
  table.insert(answer, window.most - window.count)
  table.insert(answer, math.max(0, math.ceil(wait * 1000)))
end
table.insert(answer, 1, allowed)
return answer
