-- Postpones submissions for everyone, because an intent could not be made safe. Polls go on, and no good answer of the
-- vendor ends it: it says nothing about Redis.
-- KEYS: gate
-- ARGV: why, for how long (ms)
-- Returns: 1
redis.call('HSET', KEYS[1], 'unsafe', ARGV[1], 'unsafe_until_ms', whole(now_ms() + tonumber(ARGV[2])))
return 1
