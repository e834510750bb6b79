-- What was planned by a clock that was set back.

-- Plans what is ahead of now earlier, by as much (ms) as the clock was set back; the scores of a sorted set are moments.
local function plan_earlier(clock, step)
  local planned = redis.call('ZRANGEBYSCORE', clock, whole(now_ms()), '+inf', 'WITHSCORES')
  for i = 1, #planned, 2 do
    redis.call('ZADD', clock, whole(math.max(now_ms(), tonumber(planned[i + 1]) - step)), planned[i])
  end
end
