-- Request permits of polls.
-- Uses: budget, gate, counters

-- Takes as many request permits as are wanted and conform now, and returns how many; none while the gate is closed or the
-- account's limits are not known.
local function take_permits(wanted)
  local known = wanted > 0 and may_poll() and read_limits()
  if not known then
    return 0
  end
  local permits, tat = poll_permits(known)
  local granted = math.min(wanted, permits)
  if granted > 0 then
    count(tally, {'polls', granted})
    write_tat(tat + granted * known.emission_interval_us)
  end
  return granted
end
