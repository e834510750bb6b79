-- Drops a hint that turned out wrong: the job is unknown until its bound, as if none had come. Another hint is
-- left alone.
-- KEYS: job, due
-- ARGV: job id, attempt nonce, hint
-- Returns: 1, or 0 when this is no longer the job's hint.
local fields = redis.call('HMGET', KEYS[1], 'stage', 'nonce', 'hint', 'unknown_until_ms')
if fields[1] ~= 'unknown' or fields[2] ~= ARGV[2] or fields[3] ~= ARGV[3] then
  return 0
end
redis.call('HDEL', KEYS[1], 'hint', 'hint_by')
redis.call('ZADD', KEYS[2], fields[4] or whole(now_ms()), ARGV[1])
return 1
