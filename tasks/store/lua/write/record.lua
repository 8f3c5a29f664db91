-- One job: `old` as its record is (`state` is false when there is none), `new` as it shall be.

local function read_old(job)
  local got = redis.call('HMGET', job, 'state', 'revision', 'token', 'cancel', 'stage', 'progress', 'lease_until', 'priority', 'write')
  return {
    state = got[1], revision = tonumber(got[2] or 0), token = got[3], cancel = got[4] == '1', stage = got[5],
    progress = tonumber(got[6] or 0), lease_until = tonumber(got[7] or 0), priority = tonumber(got[8]), write = got[9],
  }
end

local function put_record(new, old, at)
  -- Those that wait for it may have made it more urgent than its own document says.
  new.urgency = new.priority
  if old.stage and old.stage ~= 'final' then new.urgency = math.max(new.urgency, old.priority) end
  new.revision = old.revision + 1
  new.lease_until = new.lease_seconds and at + new.lease_seconds or 0
  redis.call('HSET', new.job, 'record', new.record, 'doc', new.document, 'state', new.state, 'revision', new.revision,
    'write', new.write, 'token', new.token or '', 'stage', new.stage, 'progress', new.progress, 'kind', new.kind,
    'owner', new.owner, 'priority', new.urgency, 'fairness_group', new.fairness_group, 'parent', new.depends_on or '',
    'internal', new.internal and '1' or '', 'code', new.code or '', 'lease_until', new.lease_until,
    'external', new.external or '', 'batch', new.batch or '')
  if FINAL[new.state] then redis.call('HDEL', new.job, 'cancel') end
end
