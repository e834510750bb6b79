-- Claims the next step of a job: to submit it or to deliver its outcome. A caller that comes twice or late gets 'noop',
-- because the first one has moved the stage on.
-- Uses: job, queue, budget, billing, balance
-- Settings: submit_lease_ms, lease_ms, permit_wait_ms
-- Returns: {'submit', attempt number, now (ms), slots held, request (JSON), message (JSON), waiting since (ms) or ''}: the
--          intent is written, send the POST of this request now.
--          {'wait', ms}: a permit is reserved for then; call again, holding it.
--          {'blocked'}: the gate is closed, a limit of the day is reached, the balance is too low, or the account's limits are
--          not known; the job is requeued at its place.
--          {'rate_limited', ms}: no permit within the longest wait; the job is due then.
--          {'deliver', outcome (JSON), attempts, now (ms), settled at (ms) or '', request (JSON), message (JSON), waiting
--          since (ms), submitted at (ms), Celery task: or '' where there is none}
--          {'noop', stage or ''}; also when the job's deadline has passed: it is due, for a poll to settle it.
local record = read_job('outcome', 'delivering_until_ms', 'rank', 'nonce', 'attempts', 'deadline_at_ms', 'waiting_at_ms',
  'settled_at_ms', 'request', 'bill', 'message', 'submitted_at_ms', 'celery_id')
local stage, now, attempts = record.stage, now_ms(), tonumber(record.attempts) or 0

if stage == 'settled' then
  -- Further ahead than a lease was read on a clock that has been set back since.
  local until_ms = tonumber(record.delivering_until_ms) or 0
  if until_ms > now and until_ms <= now + lease_ms then
    return {'noop', stage}
  end
  redis.call('HSET', job, 'delivering_until_ms', now + lease_ms)
  redis.call('ZADD', due, 'XX', now + lease_ms, job_id)
  return {'deliver', record.outcome, attempts, now, record.settled_at_ms or '', record.request or '', record.message or '',
    record.waiting_at_ms or '', record.submitted_at_ms or '', record.celery_id or ''}
end

if stage == 'submitting' and record.nonce == nonce then
  -- The same call once more, because its answer was lost on the way: the POST has not been sent.
  return {'submit', attempts, now, redis.call('ZCARD', slots), record.request, record.message, record.waiting_at_ms or ''}
end
local slot_since = stage == 'waiting' and redis.call('ZSCORE', slots, job_id)
if not slot_since then
  return {'noop', stage or ''}
end
if record.deadline_at_ms and tonumber(record.deadline_at_ms) <= now then
  redis.call('ZADD', due, now, job_id)
  return {'noop', stage}
end

local is_open, known, labels = may_submit(), read_limits(), cjson.decode(record.bill)
local cost = table.remove(labels, 1)
local micro_usd = known and cost_of(known, record.request, cost)
if is_open and known and is_over_day(known, cost, micro_usd) then
  local midnight = (math.floor(now / 86400000) + 1) * 86400000
  set_account({limited_until_ms = midnight, limited_need_ms = cost, limited_need_micro_usd = micro_usd or 0})
  is_open = false
end
if not is_open or not known or not weigh_balance(known, micro_usd or 0) then
  redis.call('ZREM', slots, job_id)
  enqueue(record.rank, record.deadline_at_ms)
  return {'blocked'}
end

if not holds_permit then
  local wait = math.max(0, read_tat() - now_us() - known.emission_interval_us * (known.burst - 1))
  if wait > permit_wait_ms * 1000 then
    local wait_ms = math.ceil(wait / 1000)
    redis.call('ZADD', due, now + wait_ms, job_id)
    return {'rate_limited', wait_ms}
  end
  take_permits(known, 1)
  if wait > 0 then
    return {'wait', math.ceil(wait / 1000)}
  end
end

if known.breaker_next_ms then
  -- No other is tried until this one is answered, or its lease ends.
  set_account({breaker_attempt = nonce, breaker_next_ms = now + submit_lease_ms})
end
record.history = noted(record.history, tonumber(slot_since), 'admitted', 'slot')
local fields = {'nonce', nonce, 'attempts', attempts + 1, 'billed', bill(cost, micro_usd, labels)}
if micro_usd then
  append(fields, {'billed_micro_usd', whole(micro_usd)})
  redis.call('HINCRBY', balance, 'sent_micro_usd', micro_usd)
end
local cause = table.concat({'attempt', attempts + 1}, ' ')
transition(record, 'submitting', cause, now + submit_lease_ms, fields)
count(counters, {'submits', 1})
return {'submit', attempts + 1, now, redis.call('ZCARD', slots), record.request, record.message,
  record.waiting_at_ms or ''}
