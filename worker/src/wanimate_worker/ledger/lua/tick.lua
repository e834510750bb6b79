-- Records that a poll has begun: beat and a worker are alive. About once a minute it keeps a copy of all counts, so
-- that counts since then can be shown; the first copy is the youngest that is older than the span. Should Redis have
-- lost the account's limits, they are filled again. Should its clock have been set back, all that was planned by the
-- old one comes so much earlier: else nothing would be sent or checked until the new clock has caught up.
-- Keys: tick, samples, due, parked, keeping_later
-- Uses: budget, clock
-- Returns: {now (ms), by how much the clock was set back since the last tick (ms)}
local now = now_ms()
local step = math.max(0, (tonumber(redis.call('GET', tick)) or 0) - now)
if not read_limits() then
  write_limits(fields)
end

if step > 0 then
  for _, ids in ipairs({due, parked, keeping_later}) do
    plan_earlier(ids, step)
  end
  local earlier = {tat_us = math.max(now_us(), read_tat() - step * 1000)}
  for name, at in pairs(read_account()) do
    if string.find(name, '_ms$') and at > now then
      earlier[name] = math.max(now, at - step)
    end
  end
  set_account(earlier)
  redis.call('ZREMRANGEBYSCORE', samples, table.concat({'(', whole(now)}), '+inf')
end
redis.call('SET', tick, whole(now), 'PX', ttl_ms)

local newest = redis.call('ZRANGE', samples, -1, -1, 'WITHSCORES')
if not newest[2] or now - tonumber(newest[2]) >= sample_ms then
  local counts = cjson.encode(redis.call('HGETALL', counters))
  redis.call('ZADD', samples, now, table.concat({whole(now), counts}, ' '))
  local old = redis.call('ZCOUNT', samples, '-inf', now - span_ms)
  if old > 1 then
    redis.call('ZREMRANGEBYRANK', samples, 0, old - 2)
  end
  redis.call('PEXPIRE', samples, COUNTS_TTL_MS)
  redis.call('PEXPIRE', counters, COUNTS_TTL_MS)
end
return {now, step}
