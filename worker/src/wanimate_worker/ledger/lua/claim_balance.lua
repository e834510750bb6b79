-- Claims the next request for the account's balance, whoever ticks first, with a request permit: at most one in a hundred
-- of the budget, but none less often than the longest time. While the balance holds submissions back it is asked at the
-- shortest time, for little else is sent. While the vendor throttles or cannot be reached it is not asked, nor while it
-- refuses the key; an empty account is asked without a permit, for nothing else is sent.
-- KEYS: balance, gate, budget, limits, slots
-- ARGV: shortest and longest time between two (ms), longest after one that failed (ms)
-- Returns: {what was answered until now (micro-dollars)}, or nothing if the caller shall not ask
local now, known = now_us(), limits_of(KEYS[4])
local state = redis.call('HMGET', KEYS[1], 'next_at_ms', 'sent_micro_usd', 'answered_micro_usd')
local next_at = tonumber(state[1]) or 0
local now_at = math.floor(now / 1000)
-- Further ahead than it is ever set was written by a clock that has been set back since.
if not known or (next_at > now_at and next_at <= now_at + tonumber(ARGV[3])) then
  return {}
end
local stops = redis.call('HMGET', KEYS[2], 'low_balance_need', 'paused', 'paused_for')
local is_empty = stops[2] and stops[3] == 'credit'
local there_are, tat = poll_permits(KEYS[3], now, known)
if not is_empty and (there_are < 1 or not may_poll(KEYS[2], now_at)) then
  return {}
end
tat = tat + known.emission_interval_us
redis.call('SET', KEYS[3], whole(tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
local every = tonumber(ARGV[1])
if not stops[1] and not is_empty then
  every = math.max(every, math.min(tonumber(ARGV[2]), known.emission_interval_us / 10))
end
redis.call('HSET', KEYS[1], 'next_at_ms', whole(now_at + every))
if state[2] and redis.call('ZCARD', KEYS[5]) == 0 then
  -- Nothing is on its way: what was never answered belonged to records that are lost.
  redis.call('HSET', KEYS[1], 'answered_micro_usd', state[2])
  return {state[2]}
end
return {state[3] or '0'}
