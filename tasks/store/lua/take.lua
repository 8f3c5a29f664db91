-- Lease one ready job of a kind to a worker; the job stays queued until the worker claims it.
-- Owners take turns, so that a thousand jobs of one owner do not delay the only job of another. The
-- fairness groups of an owner take turns too; a higher priority of its next job brings a group sooner.
-- Every fourth turn of an owner is for the job that has waited longest, where a step of priority
-- counts as a minute: otherwise a steady flow of small batches would delay older ones for ever.
-- ARGV: key prefix, kind, lease token, lease seconds.   Answer: {record, revision} or nothing
local kind, token, seconds = ARGV[2], ARGV[3], tonumber(ARGV[4])
local MOST_COMPARED, OLDEST_EACH = 32, 4

local function pop(owner, group)
  local id = redis.call('ZPOPMIN', key('ready', kind, owner, group))[1]
  if head_changed(kind, owner, group) then redis.call('ZINCRBY', key('turns', kind, owner), 1, group) end
  return id
end

local function next_of(owner, turn_of_owner)
  local groups = key('turns', kind, owner)
  local oldest = redis.call('ZRANGE', key('oldest', kind, owner), 0, 0)[1]
  local longest = oldest and turn_of_owner % OLDEST_EACH == OLDEST_EACH - 1 and pop(owner, oldest)
  if longest then return longest end
  while true do
    local turns = redis.call('ZRANGE', groups, 0, MOST_COMPARED - 1, 'WITHSCORES')
    if #turns == 0 then return nil end
    local best, best_turn
    for index = 1, #turns, 2 do
      local head = redis.call('ZRANGE', key('ready', kind, owner, turns[index]), 0, 0)[1]
      if not head then redis.call('ZREM', groups, turns[index])
      else
        local turn = tonumber(turns[index + 1]) - tonumber(redis.call('HGET', key('job', head), 'priority') or 5)
        if not best or turn < best_turn then best, best_turn = turns[index], turn end
      end
    end
    if best then return pop(owner, best) end
  end
end

-- An owner whose key may run no more jobs at once lets the others pass.
local function is_full(owner)
  local most = redis.call('HGET', key('most_running'), owner)
  return most and tonumber(redis.call('HGET', key('leased_by_owner'), owner) or 0) >= tonumber(most)
end

local passed = 0
while true do
  local first = redis.call('ZRANGE', key('turns', kind), passed, passed, 'WITHSCORES')
  local owner = first[1]
  if not owner then return false end
  local full = is_full(owner)
  local id = not full and next_of(owner, tonumber(first[2]))
  if id then
    redis.call('ZINCRBY', key('turns', kind), 1, owner)
    local job, lease_until = key('job', id), clock() + seconds
    redis.call('HSET', job, 'token', token, 'lease_until', lease_until, 'stage', 'leased')
    redis.call('ZADD', key('leases'), lease_until, id)
    count_leased(owner, 1)
    return {redis.call('HGET', job, 'record'), redis.call('HGET', job, 'revision')}
  end
  if full then passed = passed + 1 else redis.call('ZREM', key('turns', kind), owner) end
end
