-- Checks whether jobs may be written now.   Answer: the reason against it, or nil

local function lost(new, old, at)
  if new.create then return old.state end
  if not old.state then return true end
  if new.expect_token then return old.token ~= new.expect_token end
  if old.revision ~= new.expect_revision then return true end
  if not new.lease_expired then return false end
  return old.stage ~= 'aside' and (old.stage ~= 'leased' or old.lease_until > at)
end

local function lacks_artifact(new)
  for _, artifact in ipairs(new.artifacts or {}) do
    if not artifact.new then
      local held = redis.call('HMGET', key('artifact', artifact.id), 'meta', 'expired')
      if not held[1] or held[2] then return true end
    end
  end
  return false
end

-- A source may have been deleted since the planning: then the job is planned again. A source with
-- dependents cannot be deleted; and the worker that holds a job finds a missing source itself.
local function lacks_source(new, made)
  if FINAL[new.state] or new.expect_token then return false end
  for _, source in ipairs(new.depends_on) do
    if not made[source] and redis.call('EXISTS', key('job', source)) == 0 then return true end
  end
  return false
end

local function refusal_of(new, made, at)
  local old = new.old
  if lost(new, old, at) then return 'conflict' end
  -- An accepted cancel binds the next writer: the worker or, if it is lost, the housekeeper.
  if old.cancel and new.state ~= 'cancelled' then return 'cancelled' end
  if lacks_artifact(new) then return 'gone' end
  if lacks_source(new, made) then return 'no source' end
  return nil
end

-- All jobs are written, or none. A retried job needs a free slot of the queue as a new job does.
local function refusal(writes, submission, at)
  local made, more = {}, 0
  for _, new in ipairs(writes) do
    if new.create then made[new.id] = true end
    if new.create or FINAL[new.old.state] then more = more + 1 end
  end
  for _, new in ipairs(writes) do
    local why_not = refusal_of(new, made, at)
    if why_not then return why_not end
  end
  local most, most_of_owner = submission.most_queued, submission.most_queued_of_owner
  if most and redis.call('ZCARD', key('index', 'state', 'queued')) + more > most then return 'full' end
  local owner = writes[#writes].owner  -- of all of them
  local queued = most_of_owner and tonumber(redis.call('HGET', key('queued_by_owner'), owner) or 0)
  if most_of_owner and queued + more > most_of_owner then return 'full for owner' end
  return nil
end
