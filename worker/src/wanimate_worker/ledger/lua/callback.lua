-- Records that the vendor called back. The content of the call decides nothing: the job is polled soon, and the answer
-- to the status request decides. While the vendor's answer to the submission is missing, the task id that the call
-- names is kept as a hint. The first that comes is kept until it is checked, so that no later call takes the place of
-- a true one. However often the same call is repeated, a job is checked once in each interval.
-- Keys: wake
-- Uses: job, durations
-- Settings: callback_interval_ms
-- Returns: 'due': it is checked now, for a worker is woken.
--          'noted': it is checked later: soon, or once its submission is answered or given up, or at its bound.
--          'checking': another task id is to be checked first; nothing was changed, the same call must come again.
--          'stale': the attempt is no longer the job's; nothing was changed.
--          'ended': the job's outcome is known, or its record is gone; nothing was changed but that the callback is counted.
local record = read_job('nonce', 'next_check_ms', 'hint')
local stage, fields = record.stage, {}
if not stage or stage == 'keeping' or stage == 'settled' or stage == 'delivered' then
  if redis.call('HDEL', job, 'uncalled') == 1 then
    record_late_callback()
  end
  return 'ended'
end
if record.nonce ~= nonce then
  return 'stale'
end
if task_id ~= '' and stage ~= 'running' then
  if record.hint and record.hint ~= task_id then
    return 'checking'
  end
  fields = {'hint', task_id}
end
if stage == 'unknown' and task_id == '' then
  return 'noted'
end
local now, check_ms = now_ms(), tonumber(record.next_check_ms)
if not check_ms then
  check_ms = now
elseif check_ms <= now then
  check_ms = math.max(now, check_ms + callback_interval_ms)
else
  -- Further ahead was read on a clock that has been set back since.
  check_ms = math.min(check_ms, now + callback_interval_ms)
end
redis.call('HSET', job, 'next_check_ms', whole(check_ms), unpack(fields))
if stage == 'submitting' then
  return 'noted'
end
redis.call('ZADD', due, 'XX', 'LT', whole(check_ms), job_id)
if check_ms > now then
  return 'noted'
end
redis.call('LPUSH', wake, '1')
redis.call('LTRIM', wake, 0, 0)
return 'due'
