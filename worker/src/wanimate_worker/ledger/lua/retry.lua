-- Requeues a failed job under the same id, as if it had just arrived.
-- Keys: failed
-- Uses: job, queue, grant
-- Returns: {'retried' | 'undelivered' | 'no', granted job ids...}. Undelivered: its failure is being delivered right
--          now. No: it is not a failed job.
local record = read_job('message')
if not redis.call('ZSCORE', failed, job_id) or not record.message then
  return {'no'}
end
if record.stage ~= 'delivered' then
  return {record.stage == 'settled' and 'undelivered' or 'no'}
end
local rank = rank_of(priority, now_us())
local deadline = deadline_ms and whole(now_ms() + deadline_ms)
transition(record, 'waiting', why, nil, {'rank', rank},
  {'outcome', 'has_failed', 'settled_at_ms', 'delivered_at_ms', 'submitted_at_ms', 'task_id', 'unknown_why',
    'deadline_at_ms', 'retries', 'transient_code', 'transient_task', 'refusals', 'refused_at_ms', 'proofs'})
if deadline then
  redis.call('HSET', job, 'deadline_at_ms', deadline)
end
redis.call('PERSIST', job)
redis.call('ZREM', failed, job_id)
enqueue(rank, deadline)
return grant_after('retried')
