-- Takes jobs off the list of failed ones whose records have expired, and off that of enqueued ones whose messages are
-- older than results become: a status of one of those finds its message, if there is one. Drops what was billed long
-- ago, and webhooks that were given up long ago.
-- Keys: failed, enqueued, deliveries, dead_webhooks
-- Uses: billing
-- Settings: failed_ttl_ms, result_ttl_ms
-- Returns: how many jobs were taken off
local today = tonumber(day_of(now_ms()))
for _, counts in ipairs({billed, spent}) do
  for _, field in ipairs(redis.call('HKEYS', counts)) do
    local day, rest = string.match(field, '^(%d+)(.*)$')
    if today - tonumber(day) >= (rest == '' and days or label_days) then
      redis.call('HDEL', counts, field)
    end
  end
end
local old = redis.call('ZRANGEBYSCORE', dead_webhooks, '-inf', now_ms() - failed_ttl_ms, 'LIMIT', 0, 1000)
if #old > 0 then
  redis.call('HDEL', deliveries, unpack(old))
  redis.call('ZREM', dead_webhooks, unpack(old))
end
redis.call('ZREMRANGEBYSCORE', enqueued, '-inf', now_ms() - result_ttl_ms)
return redis.call('ZREMRANGEBYSCORE', failed, '-inf', now_ms() - failed_ttl_ms)
