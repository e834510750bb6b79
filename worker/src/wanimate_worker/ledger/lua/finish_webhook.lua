-- Removes a webhook that was delivered.
-- Keys: deliveries, dead_webhooks, counters
-- Uses: endpoint, successor, counters
-- Returns: whether it was there
redis.call('ZREM', outbox, event_id)
redis.call('ZREM', sending, event_id)
redis.call('ZREM', endpoint, event_id)
redis.call('ZREM', dead_webhooks, event_id)
local was_there = redis.call('HDEL', deliveries, event_id) == 1
if was_there then
  local counts = {'webhooks:delivered', 1}
  observe(counts, 'webhook', WEBHOOK_EDGES_MS, math.max(0, now_ms() - written_ms))
  count(counters, counts)
end
release_successor()
schedule_endpoint()
return was_there
