-- Records that the vendor has the task: submitting or unknown -> running. If the vendor called back before its answer
-- to the submission came, the task is polled now; else as planned, or when the job's deadline passes before that.
-- KEYS: job, due, gate, tally, unknown, answered, balance, the key of Celery's result where it shall say that the task has started
-- ARGV: job id, attempt nonce, upstream task id, delay of the first poll (ms), when the request was sent (ms),
--       what Celery keeps of a task that has started (JSON), how long it keeps it (ms)
-- Returns: 1 (also when repeated), or 0 when this attempt is no longer the job's (a late writer changes nothing).
local fields = redis.call('HMGET', KEYS[1], 'stage', 'nonce', 'task_id', 'look_at_ms', 'deadline_at_ms',
  'history', 'hint', 'billed', 'billed_micro_usd', 'refusals')
if fields[1] == 'running' and fields[2] == ARGV[2] and fields[3] == ARGV[3] then
  return 1
end
if fields[2] ~= ARGV[2] or (fields[1] ~= 'submitting' and fields[1] ~= 'unknown') then
  return 0
end
local now = now_ms()
redis.call('HSET', KEYS[1], 'stage', 'running', 'task_id', ARGV[3], 'submitted_at_ms', now,
  'history', noted(fields[6], now, 'running', ARGV[3]))
if fields[1] == 'submitting' then
  note_answered(KEYS[6], 1)
end
if fields[7] then
  redis.call('HDEL', KEYS[1], 'hint', 'hint_by')
end
if fields[10] then
  redis.call('HDEL', KEYS[1], 'refusals', 'refused_at_ms', 'proofs')
end
if fields[1] == 'unknown' then
  redis.call('ZREM', KEYS[5], ARGV[1])
elseif fields[8] then
  count_billed(KEYS[4], fields[8], fields[9])
  note_charged(KEYS[7], fields[9])
end
local was_called = fields[1] == 'submitting' and fields[4]
local first_poll = math.min(now + tonumber(ARGV[4]), math.max(now, tonumber(fields[5]) or math.huge))
redis.call('ZADD', KEYS[2], was_called and now or whole(first_poll), ARGV[1])
if KEYS[8] then
  -- Never over an outcome.
  redis.call('SET', KEYS[8], ARGV[6], 'NX', 'PX', ARGV[7])
end
gate_success(KEYS[3], ARGV[5])
if fields[1] == 'submitting' then
  trust(KEYS[3])
  redis.call('HSET', KEYS[3], 'accepted_sent_ms', ARGV[5])
else
  answered(KEYS[3], ARGV[2])
end
return 1
