-- Counts requests that the vendor answered, and not with a 429, in each second of the last minute (Unix s); older ones are
-- added up in the field total.
-- Keys: answered
local function note_answered(requests)
  local second = math.floor(now_ms() / 1000)
  if redis.call('HINCRBY', answered, whole(second), requests) > requests then
    return
  end
  local old, sum = {}, 0
  local counts = redis.call('HGETALL', answered)
  for i = 1, #counts, 2 do
    if counts[i] ~= 'total' and tonumber(counts[i]) < second - 60 then
      old[#old + 1], sum = counts[i], sum + tonumber(counts[i + 1])
    end
  end
  if #old > 0 then
    redis.call('HDEL', answered, unpack(old))
    redis.call('HINCRBY', answered, 'total', sum)
  end
  redis.call('PEXPIRE', answered, 3600000)
end
