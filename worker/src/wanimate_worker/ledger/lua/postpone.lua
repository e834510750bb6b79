-- Postpones submissions for everyone, because an intent could not be made safe. Polls go on, and no good answer of the
-- vendor ends it: it says nothing about Redis.
-- Keys: gate
-- Returns: for how long (ms)
redis.call('HSET', gate, 'unsafe', why, 'unsafe_until_ms', whole(now_ms() + pause_ms))
return pause_ms
