-- Records that the outcome was delivered; the record lives on for as long as the result does. That of a failed job
-- lives longer and keeps its message, so that it can be run again.
-- KEYS: job, due, failed, request of the idempotency key, followers, the result's key where there must be one
-- ARGV: job id, time to live (ms), time to live of a failed job (ms)
-- Returns: {1, followers that must be concluded...}; {0} when there was nothing to deliver; {-1} when this server does not
--          have the result.
local fields = redis.call('HMGET', KEYS[1], 'stage', 'history', 'fingerprint', 'has_key', 'is_followed')
local stage = fields[1]
if stage ~= 'settled' then
  if stage == 'delivered' then
    redis.call('ZREM', KEYS[2], ARGV[1])
  end
  return {0}
end
if KEYS[6] then
  local result = redis.call('GET', KEYS[6])
  -- Celery keeps there that the job has started, too.
  if not result or cjson.decode(result).status == 'STARTED' then
    return {-1}
  end
end
local now = now_ms()
redis.call('HSET', KEYS[1], 'stage', 'delivered', 'delivered_at_ms', now,
  'history', noted(fields[2], now, 'delivered', 'result stored'))
redis.call('ZREM', KEYS[2], ARGV[1])
local has_failed = redis.call('ZSCORE', KEYS[3], ARGV[1])
local done_with = {'delivering_until_ms', 'rank', 'nonce', 'hint', 'hint_by', 'look_at_ms', 'unreadable_why',
  'unreadable_since_ms'}
if not has_failed then
  done_with[#done_with + 1] = 'message'
end
redis.call('HDEL', KEYS[1], unpack(done_with))
redis.call('PEXPIRE', KEYS[1], has_failed and ARGV[3] or ARGV[2])
if fields[4] == '1' then
  -- The key is free again when the result is gone.
  redis.call('SET', KEYS[4], fields[3], 'PX', ARGV[2])
end
local followers = fields[5] and redis.call('SMEMBERS', KEYS[5]) or {}
table.insert(followers, 1, 1)
return followers
