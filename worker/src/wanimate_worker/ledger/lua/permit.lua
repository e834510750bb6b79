-- Takes request permits for polls, as many of those wanted as conform now.
-- Uses: budget, gate, counters
-- Returns: how many were granted; none while the gate is closed or the account's limits are not known
local known = may_poll() and read_limits()
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
