-- Takes jobs off the list of failed ones whose records have expired, and forgets what was billed long ago.
-- KEYS: failed, billed
-- ARGV: how long failed jobs are kept (ms), days for which the estimate in all is kept, and by label
-- Returns: how many jobs were taken off
local today = tonumber(day_of(now_ms()))
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  local day, rest = string.match(field, '^(%d+)(.*)$')
  if today - tonumber(day) >= tonumber(rest == '' and ARGV[2] or ARGV[3]) then
    redis.call('HDEL', KEYS[2], field)
  end
end
return redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms() - tonumber(ARGV[1]))
