-- Grants free slots.
-- Keys: waiting, slots, due
-- Uses: account
-- Settings: lease_ms, grant_batch

-- Moves waiting jobs into free slots and returns them; the caller starts them. Should it die first, their due time passes
-- and a poller offers them again.
local function grant()
  local known = may_submit() and read_limits()
  if not known then
    return {}
  end
  local most = known.breaker_next_ms and 1 or grant_batch
  local free = math.min(effective_cap(known) - redis.call('ZCARD', slots), most)
  if free <= 0 then
    return {}
  end
  local popped = redis.call('ZPOPMIN', waiting, free)
  local granted, taken, leased = {}, {}, {}
  for i = 1, #popped, 2 do
    granted[#granted + 1] = popped[i]
    taken[i], taken[i + 1] = now_ms(), popped[i]
    leased[i], leased[i + 1] = now_ms() + lease_ms, popped[i]
  end
  if #granted > 0 then
    redis.call('ZADD', slots, unpack(taken))
    redis.call('ZADD', due, unpack(leased))
  end
  return granted
end

-- Returns what was granted, behind other parts of an answer.
local function grant_after(...)
  local answer = {...}
  append(answer, grant())
  return answer
end
