-- Equal work runs once: the first job is the leader, later ones wait for it.

-- Make the job the leader of its flight, or let it follow the one there is.
-- Answer: the leader's id if the job may not follow it, else nil
local function join_flight(new)
  if not new.flight or new.expect_token then return nil end
  local flight = key('flight', new.flight)
  local leader = redis.call('GET', flight)
  local state = leader and redis.call('HGET', key('job', leader), 'state')
  if not state or leader == new.id or state == 'failed' or state == 'cancelled' then
    redis.call('SET', flight, new.id)
    return nil
  end
  if leader == new.depends_on then return nil end
  if not new.placeholder then return leader end
  new.depends_on, new.stage = leader, 'waiting'
  new.record = string.gsub(new.following_record, new.placeholder, leader)
  new.document = string.gsub(new.following_document, new.placeholder, leader)
  return nil
end
