-- Takes jobs off the list of failed ones whose records have expired, and off that of enqueued ones whose messages are
-- older than results become: whoever asks for one of those finds its message, if there is one. Forgets what was billed
-- long ago.
-- KEYS: failed, billed, enqueued, spent
-- ARGV: how long failed jobs are kept (ms), days for which the estimate in all is kept, and by label,
--       how long results are kept (ms)
-- Returns: how many jobs were taken off
local today = tonumber(day_of(now_ms()))
local function is_old(field)
  local day, rest = string.match(field, '^(%d+)(.*)$')
  return today - tonumber(day) >= tonumber(rest == '' and ARGV[2] or ARGV[3])
end
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if is_old(field) then
    redis.call('HDEL', KEYS[2], field)
  end
end
for _, field in ipairs(redis.call('HKEYS', KEYS[4])) do
  if is_old(field) then
    redis.call('HDEL', KEYS[4], field)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', now_ms() - tonumber(ARGV[4]))
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms() - tonumber(ARGV[1]))
