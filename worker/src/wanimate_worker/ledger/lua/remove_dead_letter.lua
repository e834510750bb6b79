-- Removes one dead letter, as it is stored: its message is back in its queue.
-- Keys: dead
-- Returns: whether it was still there
return redis.call('LREM', dead, 1, stored) > 0
