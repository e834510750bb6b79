-- Claims the next probe of a suspended account: one request an interval, for the worker that ticks first. It takes its
-- request permit in any case, for nothing else is sent while the account is suspended. An account without credit is
-- not probed while its balance can be read, which says more.
-- Keys: balance
-- Uses: budget
-- Settings: probe_interval_ms
-- Returns: whether the caller shall probe
local known, now = read_limits(), now_ms()
if not known or not known.suspended or (known.probe_at_ms or 0) > now then
  return false
end
local reading = redis.call('HMGET', balance, 'micro_usd', 'why')
if known.suspended_for == 'credit' and reading[1] and not reading[2] then
  return false
end
set_account({probe_at_ms = now + probe_interval_ms})
take_permits(known, 1)
return true
