-- Notes that a submission was refused without a verdict on the job, so surely not accepted, and weighs the evidence. Was
-- another submission accepted that was sent after this job's refusal before, or in the minute before its first, it is proof
-- against the job. Two proofs end it at its third refusal or later; one ends it at its sixth, about a minute after the first,
-- if fewer than three jobs are refused. Until then the job is parked, longer each time, so that it never stands at the head
-- of the line. Three jobs refused in a row, with none accepted in between, are proof against the account or the way: from
-- then on one submission at a time is tried.
-- KEYS: job, waiting, slots, due, gate, limits, billed, parked, spent, balance
-- ARGV: job id, attempt nonce, lease (ms), most grants, why, first and longest delay (ms), random in [0, 1),
--       first and longest pause before a trial (ms)
-- Returns: {'proven', refusals}: nothing was changed, settle it. {'parked', refusals, delay (ms), granted job ids...}.
--          {'lost'}: the attempt is no longer the job's.
local job, waiting, slots, due, gate, limits = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local id, nonce = ARGV[1], ARGV[2]
local fields = redis.call('HMGET', job, 'stage', 'nonce', 'refusals', 'refused_at_ms', 'proofs', 'deadline_at_ms', 'billed',
  'billed_micro_usd')
if fields[1] ~= 'submitting' or fields[2] ~= nonce then
  return {'lost'}
end
local now, refusals, last = now_ms(), (tonumber(fields[3]) or 0) + 1, tonumber(fields[4])
local accepted = tonumber(redis.call('HGET', gate, 'accepted_sent_ms')) or 0
local is_news = not last or accepted >= last
local since = last or now - 60000
local proofs = (tonumber(fields[5]) or 0) + (accepted > 0 and accepted >= since and 1 or 0)
-- A job that was refused before says nothing new about the others.
local in_a_row = (tonumber(redis.call('HGET', gate, 'refused_in_a_row')) or 0) + (is_news and 1 or 0)
if (proofs >= 2 and refusals >= 3) or (proofs >= 1 and refusals >= 6 and in_a_row < 3) then
  return {'proven', refusals}
end
redis.call('HSET', job, 'stage', 'waiting', 'refusals', refusals, 'refused_at_ms', whole(now), 'proofs', proofs)
redis.call('HDEL', job, 'nonce', 'hint', 'hint_by', 'look_at_ms', 'billed', 'billed_micro_usd')
if fields[7] then
  give_back(KEYS[7], KEYS[9], KEYS[10], gate, fields[7], fields[8])
end
note(job, now, 'waiting', ARGV[5])
redis.call('ZREM', slots, id)

if is_news then
  redis.call('HSET', gate, 'refused_in_a_row', in_a_row, 'refused_why', ARGV[5])
end
try_later(gate, nonce, now, in_a_row, tonumber(ARGV[9]), tonumber(ARGV[10]))
if in_a_row >= 3 then
  redis.call('HSET', gate, 'trial_for', 'refused')
end
local delay = tonumber(ARGV[6]) * 2 ^ math.min(refusals - 1, 30) * (0.75 + 0.5 * tonumber(ARGV[8]))
delay = math.floor(math.min(tonumber(ARGV[7]), delay))
-- The next one that is tried is another, if there is one.
local trial_at = tonumber(redis.call('HGET', gate, 'trial_at_ms')) or 0
local until_ms = math.max(now, trial_at) + delay
park(KEYS[8], due, id, until_ms, fields[6])
local granted = grant(waiting, slots, due, gate, limits, tonumber(ARGV[3]), tonumber(ARGV[4]))
for i, part in ipairs({'parked', refusals, until_ms - now}) do
  table.insert(granted, i, part)
end
return granted
