-- Hands out slots that are free although jobs wait: the gate has opened, or a limit was raised.
-- KEYS: waiting, slots, due, gate, billed
-- ARGV: cap, lease (ms), most grants, the day's limit for what is billed (ms of video) or ''
-- Returns: granted job ids
local need = redis.call('HGET', KEYS[4], 'limited_need_ms')
if need then
  local spent = tonumber(redis.call('HGET', KEYS[5], day_of(now_ms()))) or 0
  if ARGV[4] == '' or spent + tonumber(need) <= tonumber(ARGV[4]) then
    redis.call('HDEL', KEYS[4], 'limited_until_ms', 'limited_need_ms')
  end
end
return grant(KEYS[1], KEYS[2], KEYS[3], KEYS[4], tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
