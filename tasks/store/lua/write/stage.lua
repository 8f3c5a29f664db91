-- A job is in exactly one stage: ready, delayed, waiting, leased, aside or final.

-- The jobs that this job shall wait for may have ended already.
local function look_at_sources(new)
  if new.stage ~= 'waiting' then return end
  local stage = 'ready'
  for _, source in ipairs(new.depends_on) do
    local state = redis.call('HGET', key('job', source), 'state')
    if state and state ~= 'succeeded' then
      stage = 'waiting'
      if FINAL[state] then redis.call('SADD', key('to_release'), source) end  -- releases this job too
    end
  end
  new.stage = stage
end

local function leave_stage(new, old)
  if old.stage == 'ready' then redis.call('ZREM', key('ready', new.kind, new.owner, new.fairness_group), new.id)
  elseif old.stage == 'delayed' then redis.call('ZREM', key('delayed'), new.id)
  elseif old.stage == 'leased' then
    redis.call('ZREM', key('leases'), new.id)
    count_leased(new.owner, -1)
  elseif old.stage == 'aside' then redis.call('ZREM', key('aside', new.kind), new.id) end
end

local function enter_stage(new)
  if new.stage == 'ready' then
    local score = new.score - (new.urgency - new.priority) * new.priority_seconds
    redis.call('ZADD', key('ready', new.kind, new.owner, new.fairness_group), score, new.id)
    join_turns(key('turns', new.kind), new.owner)
    join_turns(key('turns', new.kind, new.owner), new.fairness_group)
  elseif new.stage == 'delayed' then redis.call('ZADD', key('delayed'), new.not_before, new.id)
  elseif new.stage == 'leased' then
    redis.call('ZADD', key('leases'), new.lease_until, new.id)
    count_leased(new.owner, 1)
  end
end

local function change_stage(new, old)
  leave_stage(new, old)
  enter_stage(new)
  if old.stage == 'ready' or new.stage == 'ready' then head_changed(new.kind, new.owner, new.fairness_group) end
end
