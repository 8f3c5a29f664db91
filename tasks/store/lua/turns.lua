-- Turns: owners take turns, and so do the fairness groups of one owner.

-- A newcomer to a list of turns has had as many as the one that had fewest: no more, no less.
local function join_turns(turns, name)
  if redis.call('ZSCORE', turns, name) then return end
  local first = redis.call('ZRANGE', turns, 0, 0, 'WITHSCORES')
  redis.call('ZADD', turns, first[2] or 0, name)
end

-- Note how long the next job of a group has waited. Answer: whether the group has a job left.
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
