-- Makes a failed job run again with the task that the vendor has of it: failed -> running. The task counts at the
-- vendor, so it needs a slot; the gate does not matter, for nothing is sent.
-- KEYS: job, slots, due, gate, failed, limits
-- ARGV: job id, when the failure was settled (ms), attempt nonce, upstream task id, cause
-- Returns: 'adopted', 'full' when no slot is free (none is without limits), or 'lost' when the job has no such failure any more.
local job, slots, due, gate = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local id = ARGV[1]
local fields = redis.call('HMGET', job, 'stage', 'settled_at_ms')
if fields[1] ~= 'delivered' or fields[2] ~= ARGV[2] or not redis.call('ZSCORE', KEYS[5], id) then
  return 'lost'
end
local now = now_ms()
local known = limits_of(KEYS[6])
if not known or redis.call('ZCARD', slots) >= effective_cap(gate, known.max_in_flight, now) then
  return 'full'
end
redis.call('HSET', job, 'stage', 'running', 'nonce', ARGV[3], 'task_id', ARGV[4], 'submitted_at_ms', now)
redis.call('HDEL', job, 'outcome', 'settled_at_ms', 'delivered_at_ms', 'unknown_why', 'deadline_at_ms')
note(job, now, 'running', ARGV[5])
redis.call('PERSIST', job)
redis.call('ZADD', slots, now, id)
redis.call('ZADD', due, now, id)
redis.call('ZREM', KEYS[5], id)
return 'adopted'
