-- Records a failed try: the webhook is retried after a delay (ms), or, without one, given up and kept for the operator.
-- Keys: deliveries, dead_webhooks
-- Uses: endpoint, successor, counters
-- Returns: whether it was there; a webhook that was removed or delivered meanwhile is left alone.
redis.call('ZREM', sending, event_id)
local is_there = redis.call('HEXISTS', deliveries, event_id) == 1
if is_there then
  redis.call('HSET', deliveries, event_id, content)
end
if is_there and delay_ms then
  redis.call('ZADD', endpoint, now_ms() + delay_ms, event_id)
  count(counters, {'webhooks:failed', 1})
else
  redis.call('ZREM', endpoint, event_id)
end
if is_there and not delay_ms then
  redis.call('ZADD', dead_webhooks, now_ms(), event_id)
  count(counters, {'webhooks:given_up', 1})
  release_successor()
end
schedule_endpoint()
return is_there
