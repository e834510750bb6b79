-- Hands out slots that are free although jobs wait: the gate has opened, or a limit was raised.
-- KEYS: waiting, slots, due, gate, limits, billed, spent, balance
-- ARGV: lease (ms), most grants
-- Returns: granted job ids
local gate, known = KEYS[4], limits_of(KEYS[5])
local needs = redis.call('HMGET', gate, 'limited_need_ms', 'limited_need_micro_usd', 'low_balance_need')
if needs[1] and known then
  local ms, micro_usd = tonumber(needs[1]), tonumber(needs[2]) or 0
  if not is_over_day(KEYS[6], KEYS[7], known, now_ms(), ms, micro_usd) then
    redis.call('HDEL', gate, 'limited_until_ms', 'limited_need_ms', 'limited_need_micro_usd')
  end
end
if needs[3] and known then
  -- Where nothing waits any more, nothing is needed.
  weigh_balance(gate, KEYS[8], known, redis.call('ZCARD', KEYS[1]) > 0 and tonumber(needs[3]) or 0)
end
return grant(KEYS[1], KEYS[2], KEYS[3], gate, KEYS[5], tonumber(ARGV[1]), tonumber(ARGV[2]))
