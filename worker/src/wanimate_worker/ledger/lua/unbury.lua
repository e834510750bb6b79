-- Removes one dead letter: its message is back in its queue.
-- KEYS: dead
-- ARGV: the letter as it is stored
-- Returns: 1, or 0 when it is gone already
return redis.call('LREM', KEYS[1], 1, ARGV[1])
