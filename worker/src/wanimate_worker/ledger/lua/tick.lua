-- Notes that a poll has begun: beat and a worker are alive. Now and then it keeps a copy of all counts, so that what
-- happened since then can be told; the first copy is the youngest that is older than the span. Should Redis have lost
-- the account's limits, they are filled again.
-- KEYS: tick, tally, samples, limits
-- ARGV: time to live (ms), shortest time between two copies (ms), span (ms), then the limits as pairs: field, value
-- Returns: now (ms)
local now = now_ms()
fill_limits(KEYS[4], ARGV, 4)
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
return now
