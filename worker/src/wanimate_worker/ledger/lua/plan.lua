-- Sets when claimed jobs are looked at next.
-- KEYS: due, gate
-- ARGV: claim token, when a successful request was sent (ms) or '', then pairs: job id, delay (ms)
-- Returns: how many were planned; the others are no longer the caller's.
local now, token, planned = now_ms(), tonumber(ARGV[1]), 0
for i = 3, #ARGV, 2 do
  if tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i])) == token then
    redis.call('ZADD', KEYS[1], now + tonumber(ARGV[i + 1]), ARGV[i])
    planned = planned + 1
  end
end
if ARGV[2] ~= '' then
  gate_success(KEYS[2], ARGV[2])
end
return planned
