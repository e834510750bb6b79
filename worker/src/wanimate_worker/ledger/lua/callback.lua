-- Notes that the vendor called back. Nothing the call says is believed: the job is looked at soon, and a status request
-- decides. While the vendor's answer to the submission is missing, the task id that the call names is kept as a hint. The
-- first that comes is kept until it is checked, so that no later call takes the place of a true one.
-- However often the same call is repeated, a job is looked at once in each interval.
-- KEYS: job, due
-- ARGV: job id, attempt nonce, task id that the call names or '', shortest time between two looks (ms)
-- Returns: 'due': it is looked at now.
--          'noted': it is looked at later: soon, or once its submission is answered or given up, or at its bound.
--          'checking': another task id is to be checked first; nothing was changed, the same call must come again.
--          'stale': the attempt is no longer the job's; nothing was changed.
--          'ended': the job's outcome is known, or its record is gone; nothing was changed.
local fields = redis.call('HMGET', KEYS[1], 'stage', 'nonce', 'look_at_ms', 'hint')
local stage, hint = fields[1], ARGV[3]
if not stage or stage == 'settled' or stage == 'delivered' then
  return 'ended'
end
if fields[2] ~= ARGV[2] then
  return 'stale'
end
if hint ~= '' and stage ~= 'running' then
  if fields[4] and fields[4] ~= hint then
    return 'checking'
  end
  redis.call('HSET', KEYS[1], 'hint', hint)
end
if stage == 'unknown' and hint == '' then
  return 'noted'
end
local now, look_at = now_ms(), tonumber(fields[3])
if not look_at then
  look_at = now
elseif look_at <= now then
  look_at = math.max(now, look_at + tonumber(ARGV[4]))
else
  -- Further ahead was read on a clock that has been set back since.
  look_at = math.min(look_at, now + tonumber(ARGV[4]))
end
redis.call('HSET', KEYS[1], 'look_at_ms', whole(look_at))
if stage == 'submitting' then
  return 'noted'
end
redis.call('ZADD', KEYS[2], 'XX', 'LT', whole(look_at), ARGV[1])
return look_at <= now and 'due' or 'noted'
