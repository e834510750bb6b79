-- The balance is a hash: micro_usd, as the vendor reported it at_ms; why, if a later reading failed; next_at_ms, when
-- the next reading is due; sent_micro_usd, what submissions were begun for in all, and answered_micro_usd, how much of
-- that was answered, or given up; sent_before_micro_usd, how much was answered before the reading was asked for, so is
-- in it.
-- Keys: balance
-- Uses: account

-- Returns what is left of the balance, less what was sent since it was read; nothing if it was never read.
local function balance_left()
  local state = redis.call('HMGET', balance, 'micro_usd', 'sent_micro_usd', 'sent_before_micro_usd')
  local since = (tonumber(state[2]) or 0) - (tonumber(state[3]) or 0)
  return state[1] and tonumber(state[1]) - math.max(0, since) or nil
end

-- Blocks submissions while the balance, less what the next one needs, is below the threshold; else lets them resume.
-- Returns whether they may go on. Without a need it is that of the submission that was stopped last.
local function weigh_balance(known, need)
  local least = known.balance_hold_micro_usd
  local left, needed = least and balance_left(), need or known.low_balance_need or 0
  if left and left - needed < least then
    set_account({low_balance_need = needed})
    return false
  end
  clear_account({'low_balance_need'})
  return true
end
