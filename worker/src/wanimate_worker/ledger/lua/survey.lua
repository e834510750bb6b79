-- Reads what polls are planned from: how many tasks of which age (ms, rising from 0) are in flight, and how long tasks take.
-- Keys: slots, waiting, due, durations
-- Uses: budget
-- Returns: {slots held, jobs that wait, jobs that are due for longer than the grace, permits that polls could take now, {how
--          many slots were taken at least each of the ages ago, up to the oldest...}, {fields and values of the
--          durations...}, the cap, the emission interval (us)}; the last two are 0 where the limits are not known
local now = now_ms()
local older = {}
for _, age_ms in ipairs(ages_ms) do
  local count = redis.call('ZCOUNT', slots, '-inf', whole(now - tonumber(age_ms)))
  if count == 0 then
    break
  end
  older[#older + 1] = count
end
local late = redis.call('ZCOUNT', due, '-inf', whole(now - grace_ms))
local known = read_limits()
local spare = known and poll_permits(known) or 0
local cap, interval = known and known.max_in_flight or 0, known and known.emission_interval_us or 0
return {redis.call('ZCARD', slots), redis.call('ZCARD', waiting), late, spare, older, redis.call('HGETALL', durations), cap,
  interval}
