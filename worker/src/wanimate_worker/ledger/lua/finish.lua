-- Records that the outcome was delivered; the record lives on for as long as the result does. That of a failed job
-- lives longer and keeps its message, so that it can be run again.
-- KEYS: job, due, failed, the result's key where there must be one
-- ARGV: job id, time to live (ms), time to live of a failed job (ms)
-- Returns: 1; 0 when there was nothing to deliver; -1 when this server does not have the result.
local stage = redis.call('HGET', KEYS[1], 'stage')
if stage ~= 'settled' then
  if stage == 'delivered' then
    redis.call('ZREM', KEYS[2], ARGV[1])
  end
  return 0
end
if KEYS[4] then
  local result = redis.call('GET', KEYS[4])
  -- Celery keeps there that the job has started, too.
  if not result or cjson.decode(result).status == 'STARTED' then
    return -1
  end
end
local now = now_ms()
redis.call('HSET', KEYS[1], 'stage', 'delivered', 'delivered_at_ms', now)
note(KEYS[1], now, 'delivered', 'result stored')
redis.call('HDEL', KEYS[1], 'delivering_until_ms', 'rank', 'nonce', 'hint', 'look_at_ms')
redis.call('ZREM', KEYS[2], ARGV[1])
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
else
  redis.call('HDEL', KEYS[1], 'message')
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 1
