-- The balance is a hash: micro_usd, as the vendor told it at_ms; why and why_at_ms, if a later reading failed; next_at_ms,
-- when it is asked again; sent_micro_usd, what submissions were begun for since ever, and answered_micro_usd, how much of
-- that was answered, or given up; sent_before_micro_usd, how much was answered before the reading was asked for, so is in
-- it.
-- Keys: balance
-- Uses: gate

-- Returns what is left of the balance, less what was sent since it was read; nothing if it was never read.
local function balance_left()
  local state = redis.call('HMGET', balance, 'micro_usd', 'sent_micro_usd', 'sent_before_micro_usd')
  local since = (tonumber(state[2]) or 0) - (tonumber(state[3]) or 0)
  return state[1] and tonumber(state[1]) - math.max(0, since) or nil
end

-- Stops submissions while the balance, less what the next one needs, is below the threshold; else lets them go on. Returns
-- whether it lets them.
local function weigh_balance(known, need)
  local least = known.balance_hold_micro_usd
  local left = least and balance_left()
  if left and left - need < least then
    set_gate({'low_balance_need', whole(need)})
    return false
  end
  clear_gate({'low_balance_need'})
  return true
end

-- The same for what the submission that was stopped last needs.
local function weigh_balance_again(known)
  return weigh_balance(known, tonumber(gate_state().low_balance_need) or 0)
end
