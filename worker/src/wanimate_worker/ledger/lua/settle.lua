-- Records a job's outcome, frees its slot and hands it to the next waiting jobs, in one step. Counts how long the
-- vendor had the task, and whether its callback has come; if not, it may still come. For a job without callbacks the
-- result is stored and announced as Celery's backend does, and the record closed. A video that the account keeps is
-- copied before.
-- Uses: job, ending, delivery, breaker, billing, durations, grant
-- Returns: {'settled' | 'delivered' | 'keeping', granted job ids...}; nothing if the attempt or the claim is no longer the
--          caller's, or a callback has named the task of a lost submission that is given up; it may even be on record.
local record = read_job('nonce', 'next_check_ms', 'billed', 'hint', 'fingerprint', 'has_key', 'is_followed',
  unpack(OF_EVENT))
local stage = record.stage
if record.nonce ~= nonce or not IN_SLOT[stage] then
  return false
end
if token ~= '' and tonumber(redis.call('ZSCORE', due, job_id)) ~= tonumber(token) then
  return false
end
if hint and (stage ~= 'unknown' or hint ~= (record.hint or '')) then
  return false
end
local counts, set, dropped = {}, {}, nil
if observed_field then
  if not record.next_check_ms then
    append(set, {'uncalled', 1})
  end
  record_duration(observed_field, record.next_check_ms)
  if observed_completed_ms then
    -- Clocks differ: never less than nothing.
    observe(counts, 'lag', LAG_EDGES_MS, math.max(0, now_ms() - observed_completed_ms))
  end
  observe(counts, table.concat({'took', observed_kind}, ':'), TOOK_EDGES_MS, observed_ms)
end
if is_free and record.billed then
  refund(record, stage ~= 'submitting')
  dropped, record.billed_micro_usd = {'billed', 'billed_micro_usd'}, nil
end
if is_to_keep() then
  if #counts > 0 then
    count(counters, counts)
  end
  keep_job(record, outcome_cause, set, dropped)
  return grant_after('keeping')
end
append(set, {'delivering_until_ms', delivers and now_ms() + lease_ms or 0})
local is_delivered = is_plain and not record.is_followed
end_job(record, outcome_cause, set, dropped, counts, is_delivered)
if stage == 'submitting' then
  -- The vendor has answered: it refuses this request.
  note_reply(nonce)
end
if is_delivered then
  if result then
    redis.call('SET', result, result_text, 'PX', result_ttl_ms)
    redis.call('PUBLISH', result, result_text)
  end
  close_record(record, dropped)
end
return grant_after(is_delivered and 'delivered' or 'settled')
