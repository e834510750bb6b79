-- Ends the suspension of an account. Submissions begin with one, until one is accepted: it may have no credit still.
-- Uses: account
-- Returns: whether it was suspended
local known = read_account()
local was_suspended = known.suspended ~= nil
clear_account({'suspended', 'suspended_for', 'probe_at_ms'})
if was_suspended and not known.breaker_next_ms then
  set_account({breaker_next_ms = 0, breaker_for = 'suspended'})
end
return was_suspended
