-- Notes that a poll has begun: beat and a worker are alive. Now and then it keeps a copy of all counts, so that what
-- happened since then can be told; the first copy is the youngest that is older than the span. Should Redis have lost
-- the account's limits, they are filled again. Should its clock have been set back, all that was planned by the old one
-- comes so much earlier: else nothing would be sent or looked at until the new clock has caught up.
-- KEYS: tick, tally, samples, limits, due, gate, budget, parked
-- ARGV: time to live (ms), shortest time between two copies (ms), span (ms), then the limits as pairs: field, value
-- Returns: {now (ms), by how much the clock was set back since the last tick (ms)}
local now = now_ms()
local step = math.max(0, (tonumber(redis.call('GET', KEYS[1])) or 0) - now)
fill_limits(KEYS[4], ARGV, 4)

if step > 0 then
  local jobs = redis.call('ZRANGEBYSCORE', KEYS[5], whole(now), '+inf', 'WITHSCORES')
  for i = 1, #jobs, 2 do
    redis.call('ZADD', KEYS[5], whole(math.max(now, tonumber(jobs[i + 1]) - step)), jobs[i])
  end
  local parked = redis.call('ZRANGEBYSCORE', KEYS[8], whole(now), '+inf', 'WITHSCORES')
  for i = 1, #parked, 2 do
    redis.call('ZADD', KEYS[8], whole(math.max(now, tonumber(parked[i + 1]) - step)), parked[i])
  end
  local gate = redis.call('HGETALL', KEYS[6])
  for i = 1, #gate, 2 do
    local at = string.find(gate[i], '_ms$') and tonumber(gate[i + 1]) or 0
    if at > now then
      redis.call('HSET', KEYS[6], gate[i], whole(math.max(now, at - step)))
    end
  end
  local tat, at = tonumber(redis.call('GET', KEYS[7])) or 0, now_us()
  if tat > at then
    tat = math.max(at, tat - step * 1000)
    redis.call('SET', KEYS[7], whole(tat), 'PX', math.ceil((tat - at) / 1000) + 1000)
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[3], table.concat({'(', whole(now)}), '+inf')
end
redis.call('SET', KEYS[1], whole(now), 'PX', ARGV[1])

local newest = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')
if not newest[2] or now - tonumber(newest[2]) >= tonumber(ARGV[2]) then
  local counts = cjson.encode(redis.call('HGETALL', KEYS[2]))
  redis.call('ZADD', KEYS[3], now, table.concat({whole(now), counts}, ' '))
  local old = redis.call('ZCOUNT', KEYS[3], '-inf', now - tonumber(ARGV[3]))
  if old > 1 then
    redis.call('ZREMRANGEBYRANK', KEYS[3], 0, old - 2)
  end
  redis.call('PEXPIRE', KEYS[3], COUNTS_TTL_MS)
  redis.call('PEXPIRE', KEYS[2], COUNTS_TTL_MS)
end
return {now, step}
