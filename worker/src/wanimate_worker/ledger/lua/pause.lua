-- Pauses the account: the vendor refuses the key, or says that there is no credit. Waiting jobs wait, nothing is lost.
-- KEYS: gate
-- ARGV: reason, delay of the first probe (ms), what it is about: 'key' or 'credit'
-- Returns: 1 if it was not paused before
local was_paused = redis.call('HEXISTS', KEYS[1], 'paused')
redis.call('HSET', KEYS[1], 'paused', ARGV[1], 'paused_for', ARGV[3])
if was_paused == 0 then
  redis.call('HSET', KEYS[1], 'paused_at_ms', whole(now_ms()), 'probe_at_ms', whole(now_ms() + tonumber(ARGV[2])))
end
return 1 - was_paused
