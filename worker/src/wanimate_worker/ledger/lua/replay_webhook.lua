-- Sends a webhook now: one that was given up, that waits for its next try, or that was delivered.
-- Keys: deliveries, dead_webhooks, outbox
-- Returns: nothing
redis.call('HSET', deliveries, event_id, content)
redis.call('ZREM', dead_webhooks, event_id)
redis.call('ZADD', outbox, now_ms(), event_id)
