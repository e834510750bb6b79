-- Ends the pause of an account.
-- KEYS: gate
-- Returns: 1 if it was paused
local was_paused = redis.call('HEXISTS', KEYS[1], 'paused')
redis.call('HDEL', KEYS[1], 'paused', 'paused_at_ms', 'probe_at_ms')
return was_paused
