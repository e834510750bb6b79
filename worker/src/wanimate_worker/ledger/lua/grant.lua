-- Hands out slots that are free although jobs wait: the gate has opened, or a limit was raised.
-- Uses: billing, balance, grant
-- Returns: granted job ids
local state = gate_state()
if state.limited_need_ms or state.low_balance_need then
  local known = read_limits()
  if known and state.limited_need_ms then
    local ms, micro_usd = tonumber(state.limited_need_ms), tonumber(state.limited_need_micro_usd) or 0
    if not is_over_day(known, ms, micro_usd) then
      clear_gate(DAY_LIMIT)
    end
  end
  if known and state.low_balance_need then
    -- Where nothing waits any more, nothing is needed.
    weigh_balance(known, redis.call('ZCARD', waiting) > 0 and tonumber(state.low_balance_need) or 0)
  end
end
return grant()
