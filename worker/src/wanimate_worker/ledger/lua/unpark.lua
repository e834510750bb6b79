-- Moves a parked job to the waiting ones, at its old place, and grants free slots.
-- Uses: job, queue, grant
-- Returns: granted job ids; nothing if it is not parked, or its record is gone.
local record = read_job('rank', 'deadline_at_ms')
if record.stage ~= 'waiting' or redis.call('ZREM', parked, job_id) == 0 then
  return false
end
enqueue(record.rank, record.deadline_at_ms)
return grant()
