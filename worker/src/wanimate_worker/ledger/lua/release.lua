-- Frees a slot and requeues the job, at its old place or behind those of its priority, now or after a delay: the
-- vendor surely does not have the task, or its task has failed and the job is retried, or the job opted in to
-- resubmission. Grants the slot to the next job, unless the gate is closed.
-- Uses: job, queue, billing, grant
-- Returns: granted job ids; nothing if the attempt is no longer the caller's.
local record = read_job('nonce', 'rank', 'deadline_at_ms', 'billed', 'hint', 'task_id', 'billed_micro_usd', 'retries')
local stage, is_open = record.stage, record.stage == 'submitting' or record.stage == 'unknown'
if has_run then
  is_open = stage == 'running'
end
if record.nonce ~= nonce or not is_open then
  return false
end
if hint and hint ~= (record.hint or '') then
  -- A callback has named its task meanwhile: sent again it would be paid twice.
  return false
end
if not may_be_billed and record.billed then
  refund(record, stage ~= 'submitting')
end
local rank, fields = record.rank, {}
if goes_behind then
  rank = rank_of(math.floor(tonumber(rank) / 10000000000) * 3, now_us())
  fields = {'rank', rank}
end
if transient_code ~= '' then
  append(fields, {'retries', (tonumber(record.retries) or 0) + 1, 'transient_code', transient_code,
    'transient_task', record.task_id or ''})
  count(counters, {'retries', 1})
end
transition(record, 'waiting', why, nil, fields, {'nonce', 'unknown_why', 'hint', 'hint_by', 'next_check_ms', 'billed',
  'billed_micro_usd', 'task_id', 'submitted_at_ms', 'unreadable_why', 'unreadable_since_ms'})
if read_account().breaker_attempt == nonce then
  -- It was not sent, so it decides nothing: the next one may be tried as soon as the gate is open.
  set_account({breaker_next_ms = 0})
end
if delay_ms > 0 then
  park(now_ms() + delay_ms, record.deadline_at_ms)
else
  enqueue(rank, record.deadline_at_ms)
end
return grant()
