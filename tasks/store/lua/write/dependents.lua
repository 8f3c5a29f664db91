-- Which job waits for which.

-- A job that waits lends its urgency to its source, and to the source of that one.
local MOST_LENT = 10
local function lend(to, priority, priority_seconds)
  for _ = 1, MOST_LENT do
    local got = redis.call('HMGET', key('job', to), 'stage', 'priority', 'kind', 'owner', 'fairness_group', 'parent')
    local stage, its_priority = got[1], tonumber(got[2])
    if not stage or stage == 'final' or its_priority >= priority then return end
    redis.call('HSET', key('job', to), 'priority', priority)
    if stage == 'ready' then
      local ahead = (priority - its_priority) * priority_seconds
      redis.call('ZINCRBY', key('ready', got[3], got[4], got[5]), -ahead, to)
      head_changed(got[3], got[4], got[5])
      return
    end
    to = got[6]
    if not to or to == '' then return end
  end
end

-- A download that was made for clips, and that none of them needs, is noted for the housekeeper.
local function note_need(id, internal, open, at)
  if internal and open and redis.call('SCARD', key('dependents', id)) == 0 then
    redis.call('ZADD', key('unneeded'), 'NX', at, id)
  else redis.call('ZREM', key('unneeded'), id) end
end

local function needed_less(id, at)
  local got = redis.call('HMGET', key('job', id), 'internal', 'stage')
  note_need(id, got[1] == '1', got[2] ~= 'final', at)
end

local function change_dependents(new, at)
  local open = not FINAL[new.state]
  if new.leaves then
    redis.call('SREM', key('dependents', new.leaves), new.id)
    needed_less(new.leaves, at)
  end
  if new.depends_on then
    if open then
      redis.call('SADD', key('dependents', new.depends_on), new.id)
      lend(new.depends_on, new.urgency, new.priority_seconds)
    else redis.call('SREM', key('dependents', new.depends_on), new.id) end
    needed_less(new.depends_on, at)
  end
  note_need(new.id, new.internal, open, at)
  if open then redis.call('SREM', key('to_release'), new.id)
  elseif redis.call('SCARD', key('dependents', new.id)) > 0 then redis.call('SADD', key('to_release'), new.id) end
end
