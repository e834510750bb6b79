-- The operator's hold: nothing new is submitted; polls and deliveries go on. Only the operator ends it.
-- KEYS: gate
-- ARGV: reason
-- Returns: 1 if it was not held before
local was_held = redis.call('HEXISTS', KEYS[1], 'held')
redis.call('HSET', KEYS[1], 'held', ARGV[1])
if was_held == 0 then
  redis.call('HSET', KEYS[1], 'held_at_ms', whole(now_ms()))
end
return 1 - was_held
