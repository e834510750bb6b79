-- Records that the answer to a submission was lost: submitting -> unknown. The slot stays taken, for the vendor may
-- have accepted the task. If its answer shows a task id, or the vendor has called back meanwhile and named one, the job is
-- looked at now; the id that came first is kept.
-- KEYS: job, due, gate, tally, unknown, balance
-- ARGV: job id, attempt nonce, how long to wait for news (ms), why, '1' if the vendor's side lost it, first and longest
--       pause before the next trial (ms), task id that the answer shows or ''
-- Returns: 1, also when a job that was found unknown before gets its hint, or 0 when this attempt is no longer the job's.
local fields = redis.call('HMGET', KEYS[1], 'stage', 'nonce', 'hint', 'billed', 'billed_micro_usd')
local stage, hint = fields[1], fields[3]
local is_late = stage == 'unknown' and ARGV[8] ~= '' and not hint
if fields[2] ~= ARGV[2] or (stage ~= 'submitting' and not is_late) then
  return 0
end
local now = now_ms()
if ARGV[8] ~= '' and not hint then
  hint = ARGV[8]
  redis.call('HSET', KEYS[1], 'hint', hint, 'hint_by', 'answer')
end
if is_late then
  note(KEYS[1], now, 'unknown', ARGV[4])
  redis.call('ZADD', KEYS[2], now, ARGV[1])
  return 1
end
local until_ms = now + tonumber(ARGV[3])
redis.call('HSET', KEYS[1], 'stage', 'unknown', 'unknown_why', ARGV[4], 'unknown_until_ms', whole(until_ms))
note(KEYS[1], now, 'unknown', ARGV[4])
redis.call('ZADD', KEYS[5], now, ARGV[1])
-- It may have been accepted, so it counts as billed.
count(KEYS[4], {'lost', 1})
count_billed(KEYS[4], fields[4], fields[5])
note_charged(KEYS[6], fields[5])
redis.call('ZADD', KEYS[2], whole(hint and now or until_ms), ARGV[1])
if ARGV[5] == '1' then
  doubt(KEYS[3], ARGV[2], now, tonumber(ARGV[6]), tonumber(ARGV[7]))
end
return 1
