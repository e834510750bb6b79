-- The request budget is one number (GCRA), the account's tat_us: the theoretical arrival time (TAT) of the next request. A
-- request conforms once the TAT is at most burst - 1 emission intervals ahead.
-- Uses: account, counters
local function read_tat()
  return math.max(read_account().tat_us or 0, now_us())
end

-- Returns how many requests polls could send now. Some of the burst is left to submissions.
local function poll_permits(known)
  local room = math.max(1, known.burst - known.poll_headroom)
  return math.max(0, math.floor(room - (read_tat() - now_us()) / known.emission_interval_us))
end

-- Takes request permits, whether they conform or not.
local function take_permits(known, requests)
  set_account({tat_us = read_tat() + requests * known.emission_interval_us})
end

-- Takes as many request permits for polls as are wanted and conform now, and returns how many; none while the gate is
-- closed or the account's limits are not known.
local function take_poll_permits(wanted)
  local known = wanted > 0 and may_poll() and read_limits()
  local granted = known and math.min(wanted, poll_permits(known)) or 0
  if granted > 0 then
    count(counters, {'polls', granted})
    take_permits(known, granted)
  end
  return granted
end
