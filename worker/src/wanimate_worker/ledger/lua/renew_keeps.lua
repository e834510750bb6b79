-- Prolongs the leases of videos that are being copied.
-- Keys: keeping_later
-- Settings: keep_lease_ms
-- Returns: nothing
for _, member in ipairs(members) do
  redis.call('ZADD', keeping_later, 'XX', now_ms() + keep_lease_ms, member)
end
