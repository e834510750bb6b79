-- Hands a keeper jobs whose videos are to be copied, those first that the vendor stops serving first. Whose copy failed, or
-- whose keeper died, is among them again when its time has come. A member of keeping_later is the moment (ms) of the end
-- of the service, a space, and the job.
-- Keys: keeping, keeping_later
-- Settings: keep_lease_ms
-- Returns: {now (ms), members of keeping_later...}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', keeping_later, '-inf', now_ms(), 'LIMIT', 0, 1000)) do
  local expires_ms, id = string.match(member, '^(%d+) (.*)$')
  redis.call('ZREM', keeping_later, member)
  redis.call('ZADD', keeping, expires_ms, id)
end
local answer = {now_ms()}
local popped = most > 0 and redis.call('ZPOPMIN', keeping, most) or {}
for i = 1, #popped, 2 do
  local member = table.concat({whole(popped[i + 1]), popped[i]}, ' ')
  redis.call('ZADD', keeping_later, now_ms() + keep_lease_ms, member)
  append(answer, {member})
end
return answer
