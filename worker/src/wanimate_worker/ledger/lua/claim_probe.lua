-- Claims the next probe of a suspended account: one request now and then, whoever ticks first. It is paid from the request
-- budget without asking, for nothing else is sent while the account is suspended. An account without credit is not probed
-- while the vendor tells its balance, which says more.
-- Keys: balance
-- Uses: gate, budget
-- Settings: probe_interval_ms
-- Returns: whether the caller shall probe
local state, now = gate_state(), now_ms()
if not state.paused or (tonumber(state.probe_at_ms) or 0) > now then
  return false
end
local reading = redis.call('HMGET', balance, 'micro_usd', 'why')
local is_told = state.paused_for == 'credit' and reading[1] and not reading[2]
local known = read_limits()
if not known or is_told then
  return false
end
set_gate({'probe_at_ms', whole(now + probe_interval_ms)})
write_tat(read_tat() + known.emission_interval_us)
return true
