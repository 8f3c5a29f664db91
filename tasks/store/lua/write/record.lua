-- One job: `old` is the present record (`state` is false for a new job), `new` the one to write.

local function read_old(job)
  local got = redis.call('HMGET', job, 'state', 'revision', 'token', 'cancel', 'stage', 'progress', 'lease_until', 'priority', 'write')
  return {
    state = got[1], revision = tonumber(got[2] or 0), token = got[3], cancel = got[4] == '1', stage = got[5],
    progress = tonumber(got[6] or 0), lease_until = tonumber(got[7] or 0), priority = tonumber(got[8]), write = got[9],
  }
end

-- The jobs to write, from five arguments for each, beginning at index `first`.
local function read_writes(first)
  local writes = {}
  for index = first, #ARGV, 5 do
    local new = cjson.decode(ARGV[index])
    new.job, new.record, new.document = key('job', new.id), ARGV[index + 1], ARGV[index + 2]
    new.following_record, new.following_document = ARGV[index + 3], ARGV[index + 4]
    new.fairness_group, new.depends_on = new.fairness_group or '-', new.depends_on or {}
    new.old = read_old(new.job)
    table.insert(writes, new)
  end
  return writes
end

local function put_record(new, old, at)
  -- Dependents may have made the job more urgent than its own priority.
  new.urgency = new.priority
  if old.stage and old.stage ~= 'final' then new.urgency = math.max(new.urgency, old.priority) end
  new.lease_until = new.lease_seconds and at + new.lease_seconds or 0
  redis.call('HSET', new.job, 'record', new.record, 'doc', new.document, 'state', new.state, 'revision', old.revision + 1,
    'write', new.write, 'token', new.token or '', 'stage', new.stage, 'progress', new.progress, 'kind', new.kind,
    'owner', new.owner, 'priority', new.urgency, 'fairness_group', new.fairness_group,
    'depends_on', table.concat(new.depends_on, ' '), 'internal', new.internal and '1' or '', 'code', new.code or '',
    'lease_until', new.lease_until, 'external', new.external or '', 'batch', new.batch or '')
  if not FINAL[new.state] then return end
  redis.call('HDEL', new.job, 'cancel', 'token', 'fairness_group', 'depends_on', 'lease_until', 'priority')
  for _, name in ipairs({'internal', 'code', 'external', 'batch'}) do
    if redis.call('HSTRLEN', new.job, name) == 0 then redis.call('HDEL', new.job, name) end
  end
end
