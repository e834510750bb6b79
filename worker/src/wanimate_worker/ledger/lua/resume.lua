-- Ends the operator's pause.
-- Keys: gate
-- Returns: whether it was paused
return redis.call('HDEL', gate, 'held', 'held_at_ms') > 0
