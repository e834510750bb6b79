-- Sets when claimed jobs are checked next: pairs of job id and delay (ms). Delays count from the claim, as the ages do that
-- they were planned from: counted from here, every check would be late by as long as the vendor took to answer the one
-- before.
-- Keys: due
-- Uses: account, answered
-- Settings: poll_lease_ms
-- Returns: how many were planned; the others are no longer the caller's.
local claimed_at, planned, ids = tonumber(token) - poll_lease_ms, {}, {}
for i = 1, #delays_ms, 2 do
  ids[#ids + 1] = delays_ms[i]
end
local scores = #ids > 0 and redis.call('ZMSCORE', due, unpack(ids)) or {}
for i, id in ipairs(ids) do
  if tonumber(scores[i]) == tonumber(token) then
    planned[#planned + 1] = claimed_at + tonumber(delays_ms[2 * i])
    planned[#planned + 1] = id
  end
end
if #planned > 0 then
  redis.call('ZADD', due, unpack(planned))
end
if since_ms then
  end_back_off(since_ms)
end
if requests > 0 then
  note_answered(requests)
end
return #planned / 2
