-- Create or change one job record, with every index, counter and reference that goes with it.
-- KEYS[1] the job   ARGV: key prefix, change (JSON), record, public document, and for a job that
-- may follow another: record and document with `change.placeholder` where the other's id belongs
-- Answer: {stage, revision} | {"full"} | {"conflict"} | {"cancelled"} | {"gone"} | {"no source"}
--       | {"follows", leader}
local new, old, at = cjson.decode(ARGV[2]), read_old(KEYS[1]), clock()
new.job, new.record, new.document = KEYS[1], ARGV[3], ARGV[4]
new.following_record, new.following_document = ARGV[5], ARGV[6]
new.fairness_group = new.fairness_group or '-'

-- A writer whose answer was lost on the way asks again: it is done already.
if old.write == new.write then return {old.stage, old.revision} end
local why_not = refusal(new, old, at)
if why_not then return {why_not} end
local leader = join_flight(new)
if leader then return {'follows', leader} end

look_at_source(new)
put_record(new, old, at)
change_stage(new, old)
change_indexes(new, old, at)
change_dependents(new, at)
note_artifacts(new, at)
count_in_batch(new, old, at)
report_change(new, at)
return {new.stage, new.revision}
