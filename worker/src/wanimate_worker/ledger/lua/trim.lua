-- Takes jobs off the list of failed ones whose records have expired.
-- KEYS: failed
-- ARGV: how long failed jobs are kept (ms)
-- Returns: how many were taken off
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms() - tonumber(ARGV[1]))
