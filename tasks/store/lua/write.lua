-- Create or change job records with all their indexes, counters and references: all of them or none.
-- ARGV: key prefix, submission (JSON: most_queued, most_queued_of_owner, batch, idempotency, each if it applies), then for
-- each job, a source before the jobs that need it: change (JSON), record, public document, and, if the
-- job may follow a leader, record and document with `change.placeholder` in place of the leader's id
-- Answer: {"ok", stage of each...} | {"full"} | {"conflict"} | {"cancelled"} | {"gone"} | {"no source"}
--       | {"accepted", what was accepted under this idempotency key before}
local function stages_of(writes)
  local answer = {'ok'}
  -- A new download that no job needed was not written and has no stage.
  for _, new in ipairs(writes) do table.insert(answer, redis.call('HGET', new.job, 'stage') or '') end
  return answer
end

local function write_one(new, at)
  join_flight(new)
  look_at_sources(new)
  put_record(new, new.old, at)
  change_stage(new, new.old)
  change_indexes(new, new.old, at)
  change_dependents(new)
  note_artifacts(new, at)
  local finished = count_in_batch(new, new.old, at)
  tell_of_job(new, at)
  tell_of_batch(new, finished, at)
  report_change(new, at)
end

local submission, at, planned = cjson.decode(ARGV[2]), clock(), read_writes(3)
local last = planned[#planned]
-- A writer that did not receive the answer sends its write again, which is done already. The id of a
-- new job is unique, so an existing record under it is that of this write.
if last.old.write == last.write or (last.create and last.old.state) then return stages_of(planned) end
local accepted = accepted_before(submission.idempotency)
if accepted then return {'accepted', accepted} end
local writes = without_needless(planned)
local why_not = refusal(writes, submission, at)
if why_not then return {why_not} end
put_submission(submission)
for _, new in ipairs(writes) do write_one(new, at) end
return stages_of(planned)
