-- Records that the outcome was delivered; the record lives on for as long as the result does.
-- KEYS: job, due
-- ARGV: job id, time to live (ms)
-- Returns: 1, or 0 when there was nothing to deliver.
local stage = redis.call('HGET', KEYS[1], 'stage')
if stage ~= 'settled' then
  if stage == 'delivered' then
    redis.call('ZREM', KEYS[2], ARGV[1])
  end
  return 0
end
redis.call('HSET', KEYS[1], 'stage', 'delivered', 'delivered_at_ms', now_ms())
redis.call('HDEL', KEYS[1], 'message', 'delivering_until_ms', 'rank', 'nonce')
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
