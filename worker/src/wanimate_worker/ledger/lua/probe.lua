-- Claims the next probe of a paused account: one request now and then, whoever ticks first. It is paid from the request
-- budget without asking, for nothing else is sent while the account is paused. An account without credit is not probed
-- while the vendor tells its balance, which says more.
-- KEYS: gate, budget, limits, balance
-- ARGV: delay until the next probe (ms)
-- Returns: 1 if the caller shall probe
local state = redis.call('HMGET', KEYS[1], 'paused', 'probe_at_ms', 'paused_for')
local balance = redis.call('HMGET', KEYS[4], 'micro_usd', 'why')
local is_told = state[3] == 'credit' and balance[1] and not balance[2]
local now, known = now_us(), limits_of(KEYS[3])
if not known or not state[1] or is_told or (tonumber(state[2]) or 0) * 1000 > now then
  return 0
end
redis.call('HSET', KEYS[1], 'probe_at_ms', whole(math.floor(now / 1000) + tonumber(ARGV[1])))
local tat = math.max(tonumber(redis.call('GET', KEYS[2])) or 0, now) + known.emission_interval_us
redis.call('SET', KEYS[2], whole(tat), 'PX', math.ceil((tat - now) / 1000) + 1000)
return 1
