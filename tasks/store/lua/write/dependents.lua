-- Which job depends on which.

-- A waiting job lends its urgency to its sources, and to their sources, over at most this many links.
local MOST_LENT = 10
local function lend(sources, priority, priority_seconds, links)
  for _, source in ipairs(sources) do
    local got = redis.call('HMGET', key('job', source), 'stage', 'priority', 'kind', 'owner', 'fairness_group', 'depends_on')
    local stage, its_priority = got[1], tonumber(got[2])
    if stage and stage ~= 'final' and its_priority < priority then
      redis.call('HSET', key('job', source), 'priority', priority)
      if stage == 'ready' then
        local ahead = (priority - its_priority) * priority_seconds
        redis.call('ZINCRBY', key('ready', got[3], got[4], got[5]), -ahead, source)
        head_changed(got[3], got[4], got[5])
      elseif links > 1 then lend(words(got[6]), priority, priority_seconds, links - 1) end
    end
  end
end

-- Record for the housekeeper a download that was made for clips and that no clip needs any more.
local function note_need(id, internal, open)
  if internal and open and redis.call('SCARD', key('dependents', id)) == 0 then
    redis.call('SADD', key('unneeded'), id)
  else redis.call('SREM', key('unneeded'), id) end
end

local function needed_otherwise(id)
  local got = redis.call('HMGET', key('job', id), 'internal', 'stage')
  note_need(id, got[1] == '1', got[2] ~= 'final')
end

local function depend(new, open)
  for _, source in ipairs(new.depended_on or {}) do
    redis.call('SREM', key('dependents', source), new.id)
  end
  for _, source in ipairs(new.depends_on) do
    redis.call(open and 'SADD' or 'SREM', key('dependents', source), new.id)
  end
  if open then lend(new.depends_on, new.urgency, new.priority_seconds, MOST_LENT) end
end

local function change_dependents(new)
  local open = not FINAL[new.state]
  depend(new, open)
  for _, source in ipairs(new.depended_on or {}) do needed_otherwise(source) end
  for _, source in ipairs(new.depends_on) do needed_otherwise(source) end
  note_need(new.id, new.internal, open)
  if open then redis.call('SREM', key('to_release'), new.id)
  elseif redis.call('SCARD', key('dependents', new.id)) > 0 then redis.call('SADD', key('to_release'), new.id) end
end
