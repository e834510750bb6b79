-- Suspends the account: the vendor refuses the key, or says that there is no credit. Waiting jobs wait, nothing is lost.
-- Keys: gate
-- Settings: probe_interval_ms
-- Returns: whether it was not suspended before
local is_new = redis.call('HEXISTS', gate, 'paused') == 0
redis.call('HSET', gate, 'paused', why, 'paused_for', what)
if is_new then
  redis.call('HSET', gate, 'paused_at_ms', whole(now_ms()), 'probe_at_ms', whole(now_ms() + probe_interval_ms))
end
return is_new
