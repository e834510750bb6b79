-- Replaces the failure of a job by another outcome, to be delivered anew: the vendor has the task after all, and it has
-- ended.
-- KEYS: job, due, failed, tally
-- ARGV: job id, when the failure was settled (ms), outcome (JSON), upstream task id, lease (ms), cause,
--       time to live of a failed job (ms) or '' for a success
-- Returns: 1, or 0 when the job has no such failure any more.
local id = ARGV[1]
local fields = redis.call('HMGET', KEYS[1], 'stage', 'settled_at_ms')
if fields[1] ~= 'delivered' or fields[2] ~= ARGV[2] or not redis.call('ZSCORE', KEYS[3], id) then
  return 0
end
local now = now_ms()
redis.call('HSET', KEYS[1], 'stage', 'settled', 'outcome', ARGV[3], 'task_id', ARGV[4], 'settled_at_ms', now)
redis.call('HDEL', KEYS[1], 'delivered_at_ms', 'unknown_why')
note(KEYS[1], now, 'settled', ARGV[6])
count(KEYS[4], {ARGV[7] == '' and 'ended:succeeded' or 'ended:failed', 1})
redis.call('PERSIST', KEYS[1])
redis.call('ZREM', KEYS[3], id)
if ARGV[7] ~= '' then
  note_failed(KEYS[3], id, now, ARGV[7])
end
redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), id)
return 1
