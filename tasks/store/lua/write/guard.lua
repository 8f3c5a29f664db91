-- May this writer change the job now?   Answer: why not, or nil

local function lost(new, old, at)
  if new.create then return old.state end
  if not old.state then return true end
  if new.expect_token then return old.token ~= new.expect_token end
  if old.revision ~= new.expect_revision then return true end
  return new.lease_expired and (old.stage ~= 'leased' or old.lease_until > at)
end

-- A job that is retried needs room as a new one does.
local function finds_no_room(new, old)
  if not new.most_queued or not (new.create or FINAL[old.state]) then return false end
  return redis.call('ZCARD', key('index', 'state', 'queued')) >= new.most_queued
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

-- A source may have been deleted since it was planned: then the job is planned again. One that is
-- waited for cannot be deleted; and a worker that holds a job finds out by itself.
local function lacks_source(new)
  if not new.depends_on or FINAL[new.state] or new.expect_token then return false end
  return redis.call('EXISTS', key('job', new.depends_on)) == 0
end

local function refusal(new, old, at)
  if lost(new, old, at) then return 'conflict' end
  -- Jobs of a batch have their room when the batch was begun, all of them or none.
  if new.in_batch and redis.call('HEXISTS', key('batch', new.batch), 'record') == 0 then return 'full' end
  if finds_no_room(new, old) then return 'full' end
  -- A cancel that was accepted binds the next writer: the worker or, after it, the housekeeper.
  if old.cancel and new.state ~= 'cancelled' then return 'cancelled' end
  if lacks_artifact(new) then return 'gone' end
  if lacks_source(new) then return 'no source' end
  return nil
end
