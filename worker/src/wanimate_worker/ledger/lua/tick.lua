-- Notes that a poll has begun: beat and a worker are alive.
-- KEYS: tick
-- ARGV: time to live (ms)
-- Returns: now (ms)
local now = now_ms()
redis.call('SET', KEYS[1], whole(now), 'PX', ARGV[1])
return now
