-- Records that a submission was refused without a verdict on the job, so surely not accepted, and weighs the evidence.
-- If another submission was accepted that was sent after this job's previous refusal, or in the minute before its
-- first, that is proof against the job. Two proofs end it at its third refusal or later; one ends it at its sixth,
-- about a minute after the first, if fewer than three jobs are refused. Until then the job is parked, longer each
-- time, so that it never blocks other jobs. Three jobs refused in a row, with none accepted in between, are proof
-- against the account or the network path: from then on the circuit breaker is half-open.
-- Uses: job, queue, breaker, billing, grant
-- Settings: refusal_base_ms, refusal_max_ms
-- Returns: {'proven', refusals}: nothing was changed, settle it. {'parked', refusals, delay (ms), granted job ids...}.
--          Nothing: the attempt is no longer the job's.
local record = read_job('nonce', 'refusals', 'refused_at_ms', 'proofs', 'deadline_at_ms', 'billed', 'billed_micro_usd')
if record.stage ~= 'submitting' or record.nonce ~= nonce then
  return false
end
local known, now = read_account(), now_ms()
local refusals, last = (tonumber(record.refusals) or 0) + 1, tonumber(record.refused_at_ms)
local accepted = known.accepted_sent_ms or 0
local is_news = not last or accepted >= last
local since = last or now - 60000
local proofs = (tonumber(record.proofs) or 0) + (accepted > 0 and accepted >= since and 1 or 0)
-- A job that was refused before says nothing new about the others.
local in_a_row = (known.refused_in_a_row or 0) + (is_news and 1 or 0)
if (proofs >= 2 and refusals >= 3) or (proofs >= 1 and refusals >= 6 and in_a_row < 3) then
  return {'proven', refusals}
end
if record.billed then
  refund(record)
end
transition(record, 'waiting', why, nil, {'refusals', refusals, 'refused_at_ms', whole(now), 'proofs', proofs},
  {'nonce', 'hint', 'hint_by', 'next_check_ms', 'billed', 'billed_micro_usd'})

if is_news then
  set_account({refused_in_a_row = in_a_row, refused_why = why})
end
open_breaker(nonce, in_a_row)
if in_a_row >= 3 then
  set_account({breaker_for = 'refused'})
end
local delay = refusal_base_ms * 2 ^ math.min(refusals - 1, 30) * (0.75 + 0.5 * jitter)
delay = math.floor(math.min(refusal_max_ms, delay))
-- The next one that is tried is another, if there is one.
local until_ms = math.max(now, known.breaker_next_ms or 0) + delay
park(until_ms, record.deadline_at_ms)
return grant_after('parked', refusals, until_ms - now)
