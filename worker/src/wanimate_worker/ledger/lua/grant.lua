-- Grants slots that are free although jobs wait: the gate has opened, or a limit was raised.
-- Uses: billing, balance, grant
-- Returns: granted job ids
local known = read_limits()
if known and known.limited_need_ms and not is_over_day(known, known.limited_need_ms, known.limited_need_micro_usd) then
  clear_account(DAY_LIMIT)
end
if known and known.low_balance_need then
  -- Where nothing waits any more, nothing is needed.
  weigh_balance(known, redis.call('ZCARD', waiting) == 0 and 0 or nil)
end
return grant()
