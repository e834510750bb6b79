-- Notes that the answers about a running job's task cannot be read, since when and why, or that they can be read again.
-- KEYS: job
-- ARGV: attempt nonce, why, '' if the last one could be read
-- Returns: 1, or 0 when this attempt is no longer the job's.
local fields = redis.call('HMGET', KEYS[1], 'stage', 'nonce', 'unreadable_since_ms')
if fields[1] ~= 'running' or fields[2] ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('HDEL', KEYS[1], 'unreadable_why', 'unreadable_since_ms')
else
  redis.call('HSET', KEYS[1], 'unreadable_why', ARGV[2], 'unreadable_since_ms', fields[3] or whole(now_ms()))
end
return 1
