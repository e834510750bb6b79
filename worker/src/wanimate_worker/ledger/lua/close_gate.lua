-- Closes the gate for everyone: the vendor throttles us or cannot be reached.
-- KEYS: gate, slots, tally, limits, answered, throttles
-- ARGV: reason, when the request was sent (ms), Retry-After (ms) or '', base (ms), longest (ms), random in [0, 1),
--       '1' if the cap shall be lowered, for a 429 the limit it speaks of or else '', the tasks that
--       the vendor had accepted, and those it may have had, or '' and ''
-- Returns: for how long the gate is closed (ms)
local gate = KEYS[1]
local now = now_ms()
if ARGV[8] ~= '' then
  count(KEYS[3], {'throttled', 1})
end
local state = redis.call('HMGET', gate, 'failures', 'closed_at_ms', 'closed_until_ms')
local failures = tonumber(state[1]) or 0
local closed_until = tonumber(state[3]) or 0
-- Requests that were under way when the gate closed tell nothing new: a burst of answers is one failure, not many.
local is_new = tonumber(ARGV[2]) >= (tonumber(state[2]) or 0)
if is_new then
  failures = failures + 1
end
local jitter = tonumber(ARGV[6])
local closed_for
if ARGV[3] ~= '' then
  closed_for = tonumber(ARGV[3]) + math.floor(jitter * tonumber(ARGV[4]))
elseif is_new then
  closed_for = math.floor(jitter * math.min(tonumber(ARGV[5]), tonumber(ARGV[4]) * 2 ^ math.min(failures - 1, 30)))
else
  closed_for = 0
end
closed_until = math.max(closed_until, now + closed_for)
redis.call('HSET', gate, 'failures', failures, 'closed_until_ms', whole(closed_until), 'reason', ARGV[1])
if is_new then
  redis.call('HSET', gate, 'closed_at_ms', whole(now))
  if ARGV[8] ~= '' then
    -- What was under way tells which limits would fit. A second less than a minute, for answers take time.
    local requests, total = 0, 0
    local answered = redis.call('HGETALL', KEYS[5])
    for i = 1, #answered, 2 do
      if answered[i] == 'total' then
        total = answered[i + 1]
      elseif tonumber(answered[i]) > now / 1000 - 59 then
        requests = requests + tonumber(answered[i + 1])
      end
    end
    redis.call('LPUSH', KEYS[6], table.concat({whole(now), ARGV[8], ARGV[9], ARGV[10], requests, total}, ','))
    redis.call('LTRIM', KEYS[6], 0, 99)
    redis.call('PEXPIRE', KEYS[6], 3600000)
  end
  local known = limits_of(KEYS[4])
  if ARGV[7] == '1' and known then
    local cap = effective_cap(gate, known.max_in_flight, now)
    local low = math.min(cap, math.floor(redis.call('ZCARD', KEYS[2]) * 9 / 10))
    redis.call('HSET', gate, 'cap_low', math.max(1, low), 'cap_low_at_ms', whole(now))
  end
end
return math.max(0, closed_until - now)
