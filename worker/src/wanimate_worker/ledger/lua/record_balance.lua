-- Keeps what the vendor told about the balance, or why it could not be read; a reading that failed leaves the last one
-- standing. Stops submissions if the balance is below the threshold, or lets them go on.
-- KEYS: balance, gate, limits
-- ARGV: balance (micro-dollars) or '', why it could not be read, what had been answered when it was asked (micro-dollars),
--       the shortest time until it is asked again after a failure (ms) or 0
-- Returns: {1 if submissions were stopped by the balance before, the same for now, 1 if the account is paused for want
--          of credit, 1 if this reason why it could not be read is another one than before}
local now, known = now_ms(), limits_of(KEYS[3])
local state = redis.call('HMGET', KEYS[2], 'paused', 'paused_for')
local is_empty = state[1] and state[2] == 'credit'
local is_news = ARGV[2] ~= '' and redis.call('HGET', KEYS[1], 'why') ~= ARGV[2]
local was_stopped = redis.call('HEXISTS', KEYS[2], 'low_balance_need')
if ARGV[1] ~= '' then
  redis.call('HSET', KEYS[1], 'micro_usd', ARGV[1], 'at_ms', whole(now), 'sent_before_micro_usd', ARGV[3])
  redis.call('HDEL', KEYS[1], 'why', 'why_at_ms')
else
  local next_at = math.max(tonumber(redis.call('HGET', KEYS[1], 'next_at_ms')) or 0, now + tonumber(ARGV[4]))
  redis.call('HSET', KEYS[1], 'why', ARGV[2], 'why_at_ms', whole(now), 'next_at_ms', whole(next_at))
end
if known then
  weigh_balance_again(KEYS[2], KEYS[1], known)
end
local is_stopped = redis.call('HEXISTS', KEYS[2], 'low_balance_need')
return {was_stopped, is_stopped, is_empty and 1 or 0, is_news and 1 or 0}
