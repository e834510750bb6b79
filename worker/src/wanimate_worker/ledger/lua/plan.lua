-- Sets when claimed jobs are looked at next.
-- KEYS: due, gate
-- ARGV: claim token, when a successful request was sent (ms) or '', then pairs: job id, delay (ms)
-- Returns: how many were planned; the others are no longer the caller's.
local now, token, planned = now_ms(), tonumber(ARGV[1]), {}
local ids = {}
for i = 3, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
end
local scores = #ids > 0 and redis.call('ZMSCORE', KEYS[1], unpack(ids)) or {}
for i, id in ipairs(ids) do
  if tonumber(scores[i]) == token then
    planned[#planned + 1] = now + tonumber(ARGV[2 * i + 2])
    planned[#planned + 1] = id
  end
end
if #planned > 0 then
  redis.call('ZADD', KEYS[1], unpack(planned))
end
if ARGV[2] ~= '' then
  gate_success(KEYS[2], ARGV[2])
end
return #planned / 2
