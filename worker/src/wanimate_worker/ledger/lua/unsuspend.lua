-- Ends the suspension of an account. Submissions begin with one, until one is accepted: it may have no credit still.
-- Uses: gate
-- Returns: whether it was suspended
local state = gate_state()
local was_suspended = state.paused ~= nil
redis.call('HDEL', gate, 'paused', 'paused_for', 'paused_at_ms', 'probe_at_ms')
if was_suspended and not state.trial_at_ms then
  set_gate({'trial_at_ms', 0, 'trial_for', 'suspended'})
end
return was_suspended
