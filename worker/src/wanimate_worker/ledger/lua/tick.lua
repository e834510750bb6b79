-- Notes that a poll has begun: beat and a worker are alive. Now and then it keeps a copy of all counts, so that what
-- happened since then can be told; the last copy is the youngest that is older than the span.
-- KEYS: tick, tally, samples
-- ARGV: time to live (ms), shortest time between two copies (ms), span (ms)
-- Returns: now (ms)
local now = now_ms()
redis.call('SET', KEYS[1], whole(now), 'PX', ARGV[1])

local function age_of(number)
  local sample = redis.call('LINDEX', KEYS[3], number)
  return sample and now - tonumber(string.match(sample, '^%d+'))
end

local newest = age_of(0)
if not newest or newest >= tonumber(ARGV[2]) then
  local counts = cjson.encode(redis.call('HGETALL', KEYS[2]))
  local length = redis.call('LPUSH', KEYS[3], table.concat({whole(now), counts}, ' '))
  while length > 1 and age_of(-2) >= tonumber(ARGV[3]) do
    length = length - 1
    redis.call('LTRIM', KEYS[3], 0, length - 1)
  end
  redis.call('PEXPIRE', KEYS[3], COUNTS_TTL_MS)
  redis.call('PEXPIRE', KEYS[2], COUNTS_TTL_MS)
end
return now
