-- Closes the gate for all workers: the vendor throttles us or cannot be reached.
-- Keys: slots, throttles, answered
-- Uses: account, counters
-- Settings: backoff_base_ms, backoff_max_ms
-- Returns: for how long the gate is closed (ms)
local now, known = now_ms(), read_account()
if refused_by ~= '' then
  count(counters, {'throttled', 1})
end
local failures = known.failures or 0
-- Requests that were under way when the gate closed tell nothing new: a burst of answers is one failure, not many.
local is_new = sent_at_ms >= (known.closed_at_ms or 0)
if is_new then
  failures = failures + 1
end
local closed_for = 0
if retry_after_ms then
  closed_for = retry_after_ms + math.floor(jitter * backoff_base_ms)
elseif is_new then
  closed_for = math.floor(jitter * math.min(backoff_max_ms, backoff_base_ms * 2 ^ math.min(failures - 1, 30)))
end
local closed_until = math.max(known.closed_until_ms or 0, now + closed_for)
set_account({failures = failures, closed_until_ms = closed_until, reason = why,
  closed_at_ms = is_new and now or known.closed_at_ms})
if is_new and refused_by ~= '' then
  -- What was under way tells which limits would fit. A second less than a minute, for answers take time.
  local requests, total = 0, 0
  local seconds = redis.call('HGETALL', answered)
  for i = 1, #seconds, 2 do
    total = total + tonumber(seconds[i + 1])
    if seconds[i] ~= 'total' and tonumber(seconds[i]) > now / 1000 - 59 then
      requests = requests + tonumber(seconds[i + 1])
    end
  end
  local throttle = {whole(now), refused_by, accepted or '', perhaps or '', requests, whole(total)}
  redis.call('LPUSH', throttles, table.concat(throttle, ','))
  redis.call('LTRIM', throttles, 0, 99)
  redis.call('PEXPIRE', throttles, 3600000)
end
if is_new and lower_cap and read_limits() then
  local low = math.min(effective_cap(known), math.floor(redis.call('ZCARD', slots) * 9 / 10))
  set_account({cap_low = math.max(1, low), cap_low_at_ms = now})
end
return math.max(0, closed_until - now)
