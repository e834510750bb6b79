-- Sets when claimed jobs are looked at next. Delays count from the claim, as the ages do that they were planned from:
-- counted from here, every look would be late by as long as the vendor took to answer the one before.
-- KEYS: due, gate, answered
-- ARGV: claim token, lease (ms), when a successful request was sent (ms) or '', how many requests were answered, then pairs:
--       job id, delay (ms)
-- Returns: how many were planned; the others are no longer the caller's.
local token, planned = tonumber(ARGV[1]), {}
local claimed_at = token - tonumber(ARGV[2])
local ids = {}
for i = 5, #ARGV, 2 do
  ids[#ids + 1] = ARGV[i]
end
local scores = #ids > 0 and redis.call('ZMSCORE', KEYS[1], unpack(ids)) or {}
for i, id in ipairs(ids) do
  if tonumber(scores[i]) == token then
    planned[#planned + 1] = claimed_at + tonumber(ARGV[2 * i + 4])
    planned[#planned + 1] = id
  end
end
if #planned > 0 then
  redis.call('ZADD', KEYS[1], unpack(planned))
end
if ARGV[3] ~= '' then
  gate_success(KEYS[2], ARGV[3])
end
if ARGV[4] ~= '0' then
  note_answered(KEYS[3], tonumber(ARGV[4]))
end
return #planned / 2
