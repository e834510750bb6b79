-- Deletes the record of a job that has ended, and what points to it.
-- Keys: job, followers, request, failed, enqueued
-- Returns: whether there is no record any more; a job that is at work, or runs again meanwhile, is left alone.
local stage = redis.call('HGET', job, 'stage')
if stage and stage ~= 'delivered' then
  return false
end
redis.call('ZREM', failed, job_id)
redis.call('ZREM', enqueued, job_id)
redis.call('DEL', followers, request, job)
return true
