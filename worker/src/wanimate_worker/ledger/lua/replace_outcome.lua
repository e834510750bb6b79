-- Replaces the failure of a job by another outcome, to be delivered anew: the vendor has the task after all, and it has
-- ended. A video that the account keeps is copied before.
-- Keys: failed
-- Uses: job, ending
-- Returns: whether the job still had this failure.
local record = read_job('settled_at_ms', unpack(OF_EVENT))
if record.stage ~= 'delivered' or record.settled_at_ms ~= settled_at_ms or not redis.call('ZSCORE', failed, job_id) then
  return false
end
redis.call('ZREM', failed, job_id)
redis.call('HDEL', job, 'has_failed')
if is_to_keep() then
  keep_job(record, why, {'task_id', task_id}, {'outcome', 'settled_at_ms', 'delivered_at_ms', 'unknown_why'})
else
  end_job(record, why, {'task_id', task_id}, {'delivered_at_ms', 'unknown_why'})
end
redis.call('PERSIST', job)
return true
