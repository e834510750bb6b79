-- Claims the next request for the account's balance, for the worker that ticks first, with a request permit: at most a
-- hundredth of the budget, but at least one in the longest time. While the balance holds submissions back it is one in the
-- shortest time, for little else is sent. There is none while the vendor throttles, cannot be reached or refuses the key. An
-- empty account needs no permit, for nothing else is sent.
-- Keys: balance, slots
-- Uses: budget
-- Settings: balance_interval_ms, balance_max_ms
-- Returns: what was answered until now (micro-dollars), or nothing if the caller shall not ask
local now, known = now_ms(), read_limits()
local reading = redis.call('HMGET', balance, 'next_at_ms', 'sent_micro_usd', 'answered_micro_usd')
local next_at = tonumber(reading[1]) or 0
-- Further ahead than it is ever set was written by a clock that has been set back since.
if not known or (next_at > now and next_at <= now + seldom_ms) then
  return false
end
local is_empty = known.suspended and known.suspended_for == 'credit'
if not is_empty and (poll_permits(known) < 1 or not may_poll()) then
  return false
end
take_permits(known, 1)
local every = balance_interval_ms
if not known.low_balance_need and not is_empty then
  every = math.max(every, math.min(balance_max_ms, known.emission_interval_us / 10))
end
redis.call('HSET', balance, 'next_at_ms', whole(now + every))
if reading[2] and redis.call('ZCARD', slots) == 0 then
  -- Nothing is on its way: what was never answered belonged to records that are lost.
  redis.call('HSET', balance, 'answered_micro_usd', reading[2])
  return reading[2]
end
return reading[3] or '0'
