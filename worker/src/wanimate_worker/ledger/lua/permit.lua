-- Takes request permits for polls, as many as conform now.
-- KEYS: budget, gate, tally, limits
-- ARGV: wanted
-- Returns: how many were granted; none while the gate is closed or the account's limits are not known
local now, known = now_us(), limits_of(KEYS[4])
if not known or not may_poll(KEYS[2], math.floor(now / 1000)) then
  return 0
end
local there_are, tat = poll_permits(KEYS[1], now, known)
local granted = math.min(tonumber(ARGV[1]), there_are)
if granted > 0 then
  tat = tat + granted * known.emission_interval_us
  count(KEYS[3], {'polls', granted})
  redis.call('SET', KEYS[1], whole(tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
end
return granted
