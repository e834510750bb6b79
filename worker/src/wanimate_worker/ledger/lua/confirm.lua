-- Writes an intent once more, so that the WAIT which follows on the same connection is about a write that comes after
-- it: WAIT asks for what its own connection wrote last, and the intent was perhaps written on another one.
-- KEYS: job
-- ARGV: attempt nonce
-- Returns: 1, or 0 if this server does not know the intent: it was lost in a fail-over, or the attempt was given up
local fields = redis.call('HMGET', KEYS[1], 'stage', 'nonce')
if fields[1] ~= 'submitting' or fields[2] ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'nonce', ARGV[1])
return 1
