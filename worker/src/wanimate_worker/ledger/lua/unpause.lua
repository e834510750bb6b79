-- Ends the pause of an account. Submissions begin with one, until one is accepted: it may have no credit still.
-- KEYS: gate
-- Returns: 1 if it was paused
local was_paused = redis.call('HEXISTS', KEYS[1], 'paused')
redis.call('HDEL', KEYS[1], 'paused', 'paused_for', 'paused_at_ms', 'probe_at_ms')
if was_paused == 1 and redis.call('HEXISTS', KEYS[1], 'trial_at_ms') == 0 then
  redis.call('HSET', KEYS[1], 'trial_at_ms', 0, 'trial_for', 'suspended')
end
return was_paused
