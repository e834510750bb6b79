-- Takes request permits for polls, as many as conform now. Some of the burst is left to submissions.
-- KEYS: budget, gate, tally
-- ARGV: wanted, emission interval (us), burst (requests), headroom left to submissions (requests)
-- Returns: how many were granted
local wanted, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local room = math.max(1, tonumber(ARGV[3]) - tonumber(ARGV[4]))
local now = now_us()
if not gate_is_open(KEYS[2], math.floor(now / 1000)) then
  return 0
end
local tat = math.max(tonumber(redis.call('GET', KEYS[1])) or 0, now)
local granted = math.max(0, math.min(wanted, math.floor(room - (tat - now) / interval)))
if granted > 0 then
  tat = tat + granted * interval
  count(KEYS[3], {'polls', granted})
  redis.call('SET', KEYS[1], whole(tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
end
return granted
