-- Plans when jobs that were claimed before are checked next, and claims those whose time has come. A claimed job stays in
-- the clock with its score moved to the end of the lease: if the worker dies, it is due again then. That score is the
-- fencing token; plans are triples of a token, the moment (ms) of the next check, and a job.
-- Keys: due
-- Uses: budget, answered
-- Settings: poll_lease_ms
-- Returns: {token, after how long the next job is due (ms) or '' if none will be, request permits that were taken for them,
--          how many were planned; the others are no longer the caller's, job ids...}
local planned, ids = {}, {}
for i = 3, #plans, 3 do
  ids[#ids + 1] = plans[i]
end
local held = #ids > 0 and redis.call('ZMSCORE', due, unpack(ids)) or {}
for i, id in ipairs(ids) do
  if tonumber(held[i]) == tonumber(plans[3 * i - 2]) then
    planned[#planned + 1], planned[#planned + 2] = plans[3 * i - 1], id
  end
end
if #planned > 0 then
  redis.call('ZADD', due, unpack(planned))
end
if answered_since_ms then
  end_back_off(answered_since_ms)
end
if answers > 0 then
  note_answered(answers)
end

local now = now_ms()
local token = whole(now + poll_lease_ms)
local found = redis.call('ZRANGE', due, 0, limit, 'WITHSCORES')
local answer, leased = {token, '', 0, #planned / 2}, {}
for i = 1, #found, 2 do
  local at_ms = tonumber(found[i + 1])
  if at_ms > now or i > 2 * limit then
    answer[2] = math.max(0, math.ceil(at_ms - now))
    break
  end
  answer[#answer + 1] = found[i]
  leased[i], leased[i + 1] = token, found[i]
end
if #leased > 0 then
  redis.call('ZADD', due, unpack(leased))
  answer[2] = math.min(tonumber(answer[2]) or poll_lease_ms, poll_lease_ms)
end
if takes_permits then
  answer[3] = take_poll_permits(#leased / 2)
end
return answer
