-- Records that the answer to a submission was lost: submitting -> unknown. The slot stays taken, for the vendor may
-- have accepted the task.
-- KEYS: job, due
-- ARGV: job id, attempt nonce, how long to wait for news (ms), why
-- Returns: 1, or 0 when this attempt is no longer the job's.
local fields = redis.call('HMGET', KEYS[1], 'stage', 'nonce')
if fields[1] ~= 'submitting' or fields[2] ~= ARGV[2] then
  return 0
end
redis.call('HSET', KEYS[1], 'stage', 'unknown', 'unknown_why', ARGV[4])
redis.call('ZADD', KEYS[2], now_ms() + tonumber(ARGV[3]), ARGV[1])
return 1
