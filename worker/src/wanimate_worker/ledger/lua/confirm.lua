-- Writes an intent once more, so that the WAIT which follows on the same connection is about a write that comes after
-- it: WAIT asks for what its own connection wrote last, and the intent was perhaps written on another one.
-- Uses: job
-- Returns: whether this server knows the intent: it was not lost in a fail-over, nor the attempt given up.
local record = read_job('nonce')
if record.stage ~= 'submitting' or record.nonce ~= nonce then
  return false
end
redis.call('HSET', job, 'nonce', nonce)
return true
