-- Takes request permits for polls, as many as conform now.
-- KEYS: budget, gate, tally
-- ARGV: wanted, emission interval (us), burst (requests), headroom left to submissions (requests)
-- Returns: how many were granted
local wanted, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local now = now_us()
if not gate_is_open(KEYS[2], math.floor(now / 1000)) then
  return 0
end
local there_are, tat = poll_permits(KEYS[1], now, interval, ARGV[3], ARGV[4])
local granted = math.min(wanted, there_are)
if granted > 0 then
  tat = tat + granted * interval
  count(KEYS[3], {'polls', granted})
  redis.call('SET', KEYS[1], whole(tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
end
return granted
