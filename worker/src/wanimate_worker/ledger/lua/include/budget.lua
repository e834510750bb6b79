-- The request budget is one number (GCRA): the theoretical arrival time (TAT) of the next request, us. A request
-- conforms once the TAT is at most burst - 1 emission intervals ahead.
-- Keys: budget
-- Uses: limits
local function read_tat()
  return math.max(tonumber(redis.call('GET', budget)) or 0, now_us())
end

local function write_tat(tat)
  redis.call('SET', budget, whole(tat), 'PX', math.ceil((tat - now_us()) / 1000) + 1000)
end

-- Returns how many requests polls could send now, and the TAT. Some of the burst is left to submissions.
local function poll_permits(known)
  local room, tat = math.max(1, known.burst - known.poll_headroom), read_tat()
  return math.max(0, math.floor(room - (tat - now_us()) / known.emission_interval_us)), tat
end
