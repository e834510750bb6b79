-- Claims jobs whose time has come. A claimed job stays in the clock with its score moved to the end of the lease:
-- whoever dies with it, somebody looks again. That score is the fencing token.
-- KEYS: due
-- ARGV: most jobs, lease (ms)
-- Returns: {token, job ids...}
local now = now_ms()
local token = now + tonumber(ARGV[2])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do
  redis.call('ZADD', KEYS[1], token, id)
end
table.insert(ids, 1, whole(token))
return ids
