-- Removes what points to a job whose record is gone (evicted or deleted by hand) and hands its slot on.
-- Keys: job, waiting, parked, slots, due, unknown
-- Uses: grant
-- Returns: granted job ids; nothing if the record exists.
if redis.call('EXISTS', job) == 1 then
  return false
end
for _, ids in ipairs({waiting, parked, slots, due, unknown}) do
  redis.call('ZREM', ids, job_id)
end
return grant()
