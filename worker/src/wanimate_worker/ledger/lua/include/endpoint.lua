-- The webhooks of one endpoint: those that wait, each with the moment when it may be sent, and those that are being sent.
-- Keys: endpoints, endpoint, sending
-- Settings: endpoint_connections

-- Returns how many more may be sent at once. What was sent by a process that died counts no more when its lease has ended.
local function room_at_endpoint()
  redis.call('ZREMRANGEBYSCORE', sending, '-inf', now_ms())
  return endpoint_connections - redis.call('ZCARD', sending)
end

-- Notes when the next webhook of the endpoint may be sent.
local function schedule_endpoint()
  local first = redis.call('ZRANGE', endpoint, 0, 0, 'WITHSCORES')
  if not first[2] then
    redis.call('ZREM', endpoints, endpoint_name)
    return
  end
  local next_ms = tonumber(first[2])
  if room_at_endpoint() <= 0 then
    next_ms = math.max(next_ms, tonumber(redis.call('ZRANGE', sending, 0, 0, 'WITHSCORES')[2]))
  end
  redis.call('ZADD', endpoints, next_ms, endpoint_name)
end
