-- Cancels a job that was not submitted yet. One that no worker has recorded is settled in advance, so that its
-- message, when it comes, ends as cancelled; only then is it an event, for nothing is known of the job before.
-- Uses: job, ending, grant
-- Settings: result_ttl_ms
-- Returns: {'cancelled' | 'advance' | 'billed' | 'unknown' | 'finished', granted job ids...}. Unknown: it is being sent
--          or its answer was lost, and nothing was changed; or its record was lost while it had a slot.
local record = read_job(unpack(OF_EVENT))
local stage = record.stage
if stage == 'submitting' or stage == 'unknown' then
  return {'unknown'}
end
if not stage then
  transition(record, 'settled', 'cancelled', nil, {'outcome', outcome})
  redis.call('PEXPIRE', job, result_ttl_ms)
  count(counters, {'ended:cancelled', 1})
  -- What a lost record left behind would stay taken for as long as this record lives.
  local had_slot = redis.call('ZREM', slots, job_id) == 1
  for _, ids in ipairs({waiting, parked, due, unknown}) do
    redis.call('ZREM', ids, job_id)
  end
  return grant_after(had_slot and 'unknown' or 'advance')
end
if stage == 'settled' or stage == 'delivered' then
  return {'finished'}
end
if stage ~= 'waiting' then
  return {'billed'}
end
end_job(record, 'cancelled')
return grant_after('cancelled')
