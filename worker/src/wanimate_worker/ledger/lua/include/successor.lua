-- The order of the webhooks of one job.
-- Keys: successors, outbox

-- Releases the webhook that waited for this one.
local function release_successor()
  local next_id = redis.call('HGET', successors, event_id)
  if next_id then
    redis.call('HDEL', successors, event_id)
    redis.call('ZADD', outbox, now_ms(), next_id)
  end
end
