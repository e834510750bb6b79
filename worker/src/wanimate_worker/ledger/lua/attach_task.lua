-- Makes a failed job run again with the task that the vendor has of it: failed -> running. The task counts at the
-- vendor, so it needs a slot; the gate does not matter, for nothing is sent.
-- Keys: failed
-- Uses: job, account
-- Returns: 'attached', 'full' when no slot is free (none is without limits), or 'lost' when the job has no such failure any
--          more.
local record = read_job('settled_at_ms')
if record.stage ~= 'delivered' or record.settled_at_ms ~= settled_at_ms or not redis.call('ZSCORE', failed, job_id) then
  return 'lost'
end
local known = read_limits()
if not known or redis.call('ZCARD', slots) >= effective_cap(known) then
  return 'full'
end
transition(record, 'running', why, now_ms(), {'nonce', nonce, 'task_id', task_id},
  {'outcome', 'has_failed', 'settled_at_ms', 'delivered_at_ms', 'unknown_why', 'deadline_at_ms'})
redis.call('PERSIST', job)
redis.call('ZREM', failed, job_id)
return 'attached'
