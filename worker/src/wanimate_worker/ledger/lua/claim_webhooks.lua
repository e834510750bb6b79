-- Hands a sender webhooks of one endpoint, as many as may be sent to it at once; over all processes.
-- Uses: endpoint
-- Settings: webhook_lease_ms
-- Returns: {now (ms), event ids...}
local room = math.min(most, room_at_endpoint())
local event_ids = room > 0 and redis.call('ZRANGEBYSCORE', endpoint, '-inf', now_ms(), 'LIMIT', 0, room) or {}
for _, event_id in ipairs(event_ids) do
  redis.call('ZADD', endpoint, now_ms() + webhook_lease_ms, event_id)
  redis.call('ZADD', sending, now_ms() + webhook_lease_ms, event_id)
end
schedule_endpoint()
local answer = {now_ms()}
append(answer, event_ids)
return answer
