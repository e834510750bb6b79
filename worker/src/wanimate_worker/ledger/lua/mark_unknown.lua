-- Records that the answer to a submission was lost: submitting -> unknown. The slot stays taken, for the vendor may
-- have accepted the task. If its answer shows a task id, or the vendor has called back meanwhile and named one, the job is
-- checked now; the id that came first is kept.
-- Uses: job, breaker, billing
-- Settings: unknown_after_ms
-- Returns: whether this attempt is the job's; true also when a job that was found unknown before gets its hint.
local record = read_job('nonce', 'hint', 'billed', 'billed_micro_usd')
local is_late = record.stage == 'unknown' and hint ~= '' and not record.hint
if record.nonce ~= nonce or (record.stage ~= 'submitting' and not is_late) then
  return false
end
local now, fields = now_ms(), {}
local until_ms = now + unknown_after_ms
if hint ~= '' and not record.hint then
  fields, record.hint = {'hint', hint, 'hint_by', 'answer'}, hint
end
if is_late then
  redis.call('HSET', job, 'history', noted(record.history, now, 'unknown', why), unpack(fields))
  redis.call('ZADD', due, now, job_id)
  return true
end
append(fields, {'unknown_why', why, 'unknown_until_ms', whole(until_ms)})
transition(record, 'unknown', why, record.hint and now or until_ms, fields)
count(counters, {'lost', 1})
-- It may have been accepted, so it counts as billed.
count_billed(record)
if not is_ours then
  note_lost(nonce)
end
return true
