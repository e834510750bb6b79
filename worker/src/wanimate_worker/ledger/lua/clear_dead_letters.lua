-- Removes all dead letters.
-- Keys: dead
-- Returns: how many there were
local count = redis.call('LLEN', dead)
redis.call('DEL', dead)
return count
