-- Removes all dead letters.
-- KEYS: dead
-- Returns: how many there were
local count = redis.call('LLEN', KEYS[1])
redis.call('DEL', KEYS[1])
return count
