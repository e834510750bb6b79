-- Records that the vendor has the task: submitting or unknown -> running. If the vendor called back before its answer
-- to the submission came, the task is polled now; else as planned, or when the job's deadline passes before that.
-- Uses: job, breaker, billing, answered
-- Settings: result_ttl_ms
-- Returns: whether this attempt is the job's, also when repeated; a late writer changes nothing.
local record = read_job('nonce', 'task_id', 'next_check_ms', 'deadline_at_ms', 'hint', 'billed', 'billed_micro_usd', 'refusals')
local is_answer = record.stage == 'submitting'
if record.stage == 'running' and record.nonce == nonce and record.task_id == task_id then
  return true
end
if record.nonce ~= nonce or (not is_answer and record.stage ~= 'unknown') then
  return false
end
local now = now_ms()
local due_ms = math.min(now + first_poll_ms, math.max(now, tonumber(record.deadline_at_ms) or math.huge))
if is_answer and record.next_check_ms then
  due_ms = now
end
local dropped = (record.hint or record.refusals) and {'hint', 'hint_by', 'refusals', 'refused_at_ms', 'proofs'}
transition(record, 'running', task_id, due_ms, {'task_id', task_id}, dropped)
if started then
  -- Never over an outcome.
  redis.call('SET', started, started_text, 'NX', 'PX', result_ttl_ms)
end
end_back_off(begun_at_ms)
if is_answer then
  note_answered(1)
  count_billed(record)
  close_breaker()
  set_account({accepted_sent_ms = begun_at_ms})
else
  note_reply(nonce)
end
return true
