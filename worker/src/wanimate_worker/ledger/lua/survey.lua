-- Reads what polls are planned from: how many tasks of which age are in flight, and how long tasks take.
-- KEYS: slots, waiting, due, durations, budget, limits
-- ARGV: for how long a due job may be left alone (ms), then ages (ms), rising from 0
-- Returns: {slots held, jobs that wait, jobs that nobody looked at for longer, permits that polls could take now, {how
--          many slots were taken at least each of the ages ago, up to the oldest...}, {fields and values of the
--          durations...}, the cap, the emission interval (us)}; the last two are 0 where the limits are not known
local now = now_ms()
local older = {}
for i = 2, #ARGV do
  local count = redis.call('ZCOUNT', KEYS[1], '-inf', whole(now - tonumber(ARGV[i])))
  if count == 0 then
    break
  end
  older[#older + 1] = count
end
local late = redis.call('ZCOUNT', KEYS[3], '-inf', whole(now - tonumber(ARGV[1])))
local known = limits_of(KEYS[6])
local spare = known and poll_permits(KEYS[5], now_us(), known) or 0
local waiting, durations = redis.call('ZCARD', KEYS[2]), redis.call('HGETALL', KEYS[4])
local cap, interval = known and known.max_in_flight or 0, known and known.emission_interval_us or 0
return {redis.call('ZCARD', KEYS[1]), waiting, late, spare, older, durations, cap, interval}
