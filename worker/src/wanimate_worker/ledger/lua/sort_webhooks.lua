-- Puts webhooks with those of their endpoint.
-- Keys: outbox
-- Uses: endpoint
-- Returns: nothing
for _, event_id in ipairs(event_ids) do
  if redis.call('ZREM', outbox, event_id) == 1 then
    redis.call('ZADD', endpoint, now_ms(), event_id)
  end
end
schedule_endpoint()
