-- Single flight: equal work runs once, the first job is the leader, the later jobs wait for it.

-- The job that does, or has done, the work of this job; nil if none may deliver its result.
local function leader_of(new)
  local leader = redis.call('GET', key('flight', new.flight))
  if not leader or leader == new.id or leader == new.outdated then return nil end
  local state = redis.call('HGET', key('job', leader), 'state')
  if not state or state == 'failed' or state == 'cancelled' then return nil end
  return leader
end

-- A new download is not written when another job has begun its work meanwhile: the clips that need it
-- wait for that job. Ids are random, so a text contains an id only where that job is meant.
local function without_needless(writes)
  local kept, leaders = {}, {}
  for _, new in ipairs(writes) do
    local leader = new.create and new.internal and leader_of(new)
    if leader then leaders[new.id] = leader else table.insert(kept, new) end
  end
  for _, new in ipairs(next(leaders) and kept or {}) do
    for index, source in ipairs(new.depends_on) do
      local leader = leaders[source]
      if leader then
        new.depends_on[index] = leader
        new.record, new.document = string.gsub(new.record, source, leader), string.gsub(new.document, source, leader)
      end
    end
  end
  return kept
end

-- Make the job the leader of its flight, or a follower of the present leader.
local function join_flight(new)
  if not new.flight or new.expect_token then return end
  local leader = leader_of(new)
  if not leader then
    redis.call('SET', key('flight', new.flight), new.id)
  elseif leader ~= new.depends_on[1] then
    new.depends_on, new.stage = {leader}, 'waiting'
    new.record = string.gsub(new.following_record, new.placeholder, leader)
    new.document = string.gsub(new.following_document, new.placeholder, leader)
  end
end
