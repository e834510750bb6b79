-- Shared by every script of the ledger; put in front of each when it is registered.
-- Time is Redis time: hosts' clocks differ, and a lease must mean the same to all of them.

local function now_us()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function now_ms()
  return math.floor(now_us() / 1000)
end

-- Lua would write large numbers as 1.7e+15.
local function whole(number)
  return string.format('%.0f', number)
end

-- The gate is a hash: paused (why), closed_until_ms, closed_at_ms, failures, reason, cap_low, cap_low_at_ms.
local function gate_is_open(gate, now)
  local state = redis.call('HMGET', gate, 'paused', 'closed_until_ms')
  return not state[1] and (tonumber(state[2]) or 0) <= now
end

-- An answer to a request sent after the last closing proves the vendor well again.
local function gate_success(gate, sent_at_ms)
  local state = redis.call('HMGET', gate, 'failures', 'closed_at_ms')
  if state[1] and tonumber(sent_at_ms) >= (tonumber(state[2]) or 0) then
    redis.call('HDEL', gate, 'failures', 'closed_until_ms', 'closed_at_ms', 'reason')
  end
end

-- A concurrency 429 lowers the cap; it grows back by cap / 600 slots a second.
local function effective_cap(gate, cap, now)
  local state = redis.call('HMGET', gate, 'cap_low', 'cap_low_at_ms')
  if not state[1] then
    return cap
  end
  local grown = tonumber(state[1]) + math.floor(math.max(0, now - tonumber(state[2])) * cap / 600000)
  if grown >= cap then
    redis.call('HDEL', gate, 'cap_low', 'cap_low_at_ms')
    return cap
  end
  return grown
end

-- Moves waiting jobs into free slots and returns them; the caller resumes them. Should it die first, their due time
-- passes and they are resumed again.
local function grant(waiting, slots, due, gate, cap, lease_ms, limit)
  local now = now_ms()
  if not gate_is_open(gate, now) then
    return {}
  end
  local free = math.min(effective_cap(gate, cap, now) - redis.call('ZCARD', slots), limit)
  if free <= 0 then
    return {}
  end
  local popped = redis.call('ZPOPMIN', waiting, free)
  local granted = {}
  for i = 1, #popped, 2 do
    redis.call('ZADD', slots, now, popped[i])
    redis.call('ZADD', due, now + lease_ms, popped[i])
    granted[#granted + 1] = popped[i]
  end
  return granted
end
