-- Owners take turns, and so do the fairness groups of one owner.

-- A new member of a list starts with the number of turns of the member that has had the fewest.
local function join_turns(turns, name)
  if redis.call('ZSCORE', turns, name) then return end
  local first = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
  redis.call('ZADD', turns, first[2] or 0, name)
end

-- Record how long the next job of a group has waited. Answer: whether the group has a job left.
local function head_changed(kind, owner, group)
  local head = redis.call('ZRANGE', key('ready', kind, owner, group), 0, 0, 'WITHSCORES')
  if head[2] then
    redis.call('ZADD', key('oldest', kind, owner), head[2], group)
    return true
  end
  redis.call('ZREM', key('oldest', kind, owner), group)
  redis.call('ZREM', key('turns', kind, owner), group)
  return false
end
