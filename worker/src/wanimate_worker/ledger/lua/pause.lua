-- The operator's pause: nothing new is submitted; polls and deliveries go on. Only the operator ends it.
-- Keys: gate
-- Returns: whether it was not paused before
local is_new = redis.call('HEXISTS', gate, 'held') == 0
redis.call('HSET', gate, 'held', why)
if is_new then
  redis.call('HSET', gate, 'held_at_ms', whole(now_ms()))
end
return is_new
