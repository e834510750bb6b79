-- Ends the operator's hold.
-- KEYS: gate
-- Returns: 1 if it was held
local was_held = redis.call('HEXISTS', KEYS[1], 'held')
redis.call('HDEL', KEYS[1], 'held', 'held_at_ms')
return was_held
