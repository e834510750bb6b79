-- Reads what polls are planned from: how many tasks of which age are in flight, and how long tasks take.
-- KEYS: slots, waiting, due, durations
-- ARGV: for how long a due job may be left alone (ms), then ages (ms), rising from 0
-- Returns: {slots held, jobs that wait, jobs that nobody looked at for longer, {how many slots were taken at least each
--          of the ages ago, up to the oldest...}, {fields and values of the durations...}}
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
return {redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]), late, older, redis.call('HGETALL', KEYS[4])}
