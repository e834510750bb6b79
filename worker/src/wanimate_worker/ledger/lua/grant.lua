-- Hands out slots that are free although jobs wait: the gate has opened, or a limit was raised.
-- KEYS: waiting, slots, due, gate, limits, billed
-- ARGV: lease (ms), most grants
-- Returns: granted job ids
local need, known = redis.call('HGET', KEYS[4], 'limited_need_ms'), limits_of(KEYS[5])
if need and known then
  local spent = tonumber(redis.call('HGET', KEYS[6], day_of(now_ms()))) or 0
  if spent + tonumber(need) <= (known.daily_billed_ms or math.huge) then
    redis.call('HDEL', KEYS[4], 'limited_until_ms', 'limited_need_ms')
  end
end
return grant(KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], tonumber(ARGV[1]), tonumber(ARGV[2]))
